#include "tests/support/http_reader.h"

#include <uaio/http_error.h>

#include "transport/http/format/chunked.h"
#include "transport/http/format/usual_head.h"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <vector>

namespace uaio {
namespace http_reader {

using namespace http;

constexpr std::size_t kRoom = 128;

// A copy of bytes in a block of exactly their size.
class Exact {
public:
    explicit Exact(std::string_view bytes)
        : block_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
        std::ranges::copy(bytes, block_.get());
    }
    std::string_view view() const { return {block_.get(), size_}; }

private:
    std::unique_ptr<char[]> block_;
    std::size_t size_;
};

std::string text_of(const FieldViews& fields) {
    std::string text;
    for (const auto [name, value] : fields)
        text.append(name).append("=").append(is_folded(value) ? unfold(value) : value).append("\n");
    return text;
}

std::string quoted(std::string_view text) { return "[" + std::string(text) + "]"; }

std::string text_of(const RequestHead& head) {
    std::string text = quoted(head.method) + quoted(head.target) + quoted(head.host) +
                       quoted(head.parts.path) + quoted(head.parts.query) +
                       std::to_string(static_cast<int>(head.parts.form));
    for (const bool flag : {head.version == Version::http_1_1, head.keep_alive, head.upgrade,
                            head.expect_continue, head.unknown_expectation})
        text += flag ? '1' : '0';
    return text + std::to_string(head.content_length) + "\n" + text_of(head.fields);
}

std::string text_of(const ResponseHead& head) {
    std::string text = std::to_string(head.status) + quoted(head.reason);
    for (const bool flag : {head.version == Version::http_1_1, head.keep_alive, head.upgrade})
        text += flag ? '1' : '0';
    return text + std::to_string(head.content_length) + "\n" + text_of(head.fields);
}

class Reader {
public:
    explicit Reader(const Reading& how)
        : how_(how),
          scanner_(how.scanner ? *how.scanner : best_scanner()),
          request_(head_room_, how.limits, scanner_),
          response_(head_room_, how.limits, scanner_, how.strictness),
          chunks_(trailer_room_, how.limits, scanner_, how.strictness) {
        response_.reset(how.answer_to);
    }

    // `bytes` are all that have arrived so far.
    void more(std::string_view bytes) {
        if (!head_done_) read_head(bytes);
        if (head_done_ && seen_.progress == Progress::need_more) read_content(bytes);
    }

    SeenMessage take(bool end) {
        if (end && head_done_ && seen_.framing == ContentFraming::until_close)
            seen_.progress = Progress::complete;
        return std::move(seen_);
    }

private:
    void read_head(std::string_view bytes) {
        const Exact exact(bytes);
        if (how_.response) {
            ResponseHead head;
            if (const std::size_t size = usual(exact.view(), head)) return take_head(size, head);
            return took(response_.parse(exact.view()), response_.head());
        }
        RequestHead head;
        if (const std::size_t size = usual(exact.view(), head)) return take_head(size, head);
        took(request_.parse(exact.view()), request_.head());
    }

    std::size_t usual(std::string_view bytes, RequestHead& head) {
        return how_.usual ? parse_usual(bytes, usual_room_, how_.limits, scanner_, head) : 0;
    }
    std::size_t usual(std::string_view bytes, ResponseHead& head) {
        if (!how_.usual) return 0;
        return parse_usual(bytes, usual_room_, how_.limits, scanner_, how_.answer_to, head);
    }

    template <class Head>
    void took(const Parsed& parsed, const Head& head) {
        if (parsed.progress == Progress::malformed) refuse(parsed.fault);
        if (parsed.progress != Progress::complete) return;
        take_head(parsed.consumed, head);
    }

    template <class Head>
    void take_head(std::size_t size, const Head& head) {
        head_done_ = true;
        seen_.consumed = size;
        seen_.head = text_of(head);
        seen_.framing = head.framing;
        left_ = head.content_length;
    }

    void read_content(std::string_view bytes) {
        switch (seen_.framing) {
            case ContentFraming::none:
            case ContentFraming::tunnel: seen_.progress = Progress::complete; return;
            case ContentFraming::length: return read_counted(bytes);
            case ContentFraming::chunked: return read_chunks(bytes);
            case ContentFraming::until_close: seen_.content += bytes.substr(seen_.consumed);
        }
        seen_.consumed = bytes.size();
    }

    void read_counted(std::string_view bytes) {
        const std::size_t size =
            static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - seen_.consumed));
        seen_.content += bytes.substr(seen_.consumed, size);
        seen_.consumed += size;
        left_ -= size;
        if (left_ == 0) seen_.progress = Progress::complete;
    }

    void read_chunks(std::string_view bytes) {
        for (;;) {
            const Exact exact(bytes.substr(seen_.consumed));
            const Chunked step = chunks_.decode(exact.view());
            if (step.outcome == Chunked::Outcome::malformed) return refuse(step.fault);
            seen_.consumed += step.consumed;
            seen_.content += step.data;
            if (step.outcome == Chunked::Outcome::need_more) return;
            if (step.outcome == Chunked::Outcome::data) continue;
            seen_.trailer = text_of(chunks_.trailers());
            seen_.progress = Progress::complete;
            return;
        }
    }

    void refuse(HttpErrc fault) {
        seen_.progress = Progress::malformed;
        seen_.fault = fault;
        // How much of a refused message was decoded before the error depends on the cuts.
        seen_.consumed = 0;
    }

    Reading how_;
    const Scanner& scanner_;
    std::array<FieldSlice, kRoom> head_room_;
    std::array<FieldSlice, kRoom> usual_room_;  // the others keep what they have parsed
    std::array<FieldSlice, kRoom> trailer_room_;
    RequestParser request_;
    ResponseParser response_;
    ChunkedDecoder chunks_;
    SeenMessage seen_;
    std::uint64_t left_ = 0;
    bool head_done_ = false;
};

}  // namespace http_reader

std::string name_of(HttpErrc fault) {
    return fault == http::kFine ? "fine" : std::error_code(fault).message();
}

SeenMessage read_message(std::string_view bytes, const Reading& how,
                         std::span<const std::size_t> cuts) {
    const auto reader = std::make_unique<http_reader::Reader>(how);
    for (const std::size_t cut : cuts)
        reader->more(bytes.substr(0, cut));
    reader->more(bytes);
    return reader->take(true);
}

SeenMessage read_every_way(std::string_view bytes, const Reading& how, std::string& disagreement) {
    std::vector<std::size_t> each(bytes.size());
    std::iota(each.begin(), each.end(), 0);
    const SeenMessage whole = read_message(bytes, how);
    disagreement.clear();
    for (const http::Scanner* scanner : http::usable_scanners()) {
        Reading with = how;
        with.scanner = scanner;
        for (const bool usual : {false, true}) {
            with.usual = usual;
            const auto compare = [&](std::span<const std::size_t> cuts, std::string_view what) {
                if (!disagreement.empty() || read_message(bytes, with, cuts) == whole) return;
                disagreement = std::string(what) + " with the scanner " + scanner->name +
                               (usual ? ", usual heads first" : "");
            };
            compare({}, "whole");
            compare(each, "byte by byte");
            for (const std::size_t& cut : each)
                compare({&cut, 1}, "cut at " + std::to_string(cut));
        }
    }
    return disagreement.empty() ? whole : SeenMessage();
}

}  // namespace uaio
