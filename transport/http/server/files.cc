#include <uaio/http_files.h>

#include "base/check.h"
#include "base/quoted.h"
#include "engine/deadline.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"
#include "transport/http/server/descriptor_budget.h"
#include "transport/http/server/file_access.h"
#include "transport/http/server/file_response.h"
#include "transport/http/server/fixed_response.h"
#include "transport/http/server/location.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>

namespace uaio::http {
namespace {

// A recently sent small file, as the response that sends it whole.
struct KeptFile {
    FileState state;
    Response response;
    Clock::time_point until;
};

class KeptFiles {
public:
    // Null if the file is not kept, or has expired.
    const KeptFile* find(std::string_view path, Clock::time_point now) const {
        const auto found = files_.find(path);
        return found != files_.end() && now < found->second.until ? &found->second : nullptr;
    }

    // Null if the file could not be read whole.
    const KeptFile* keep(const std::string& path, int fd, const FileState& state,
                         Clock::time_point until, std::size_t limit) {
        const std::size_t size = path.size() + state.size + sizeof(KeptFile);
        if (bytes_ + size > limit) {
            files_.clear();
            bytes_ = 0;
        }
        KeptFile& file = files_[path];
        file = {.state = state, .response = {}, .until = until};
        bytes_ += size;  // a replaced file counts twice, so the cache may empty early
        FilePart whole;
        const bool complete =
            !choose_part(Request(), state, file.response, whole) &&
            !file.response.headers().set("Content-Type", media_type(path)) &&
            read_content(fd, 0, static_cast<std::size_t>(state.size), file.response);
        DCHECK(!complete || file.response.content().size() == state.size);
        if (complete) return &file;
        files_.erase(path);
        return nullptr;
    }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };
    std::unordered_map<std::string, KeptFile, Hash, std::equal_to<>> files_;
    std::size_t bytes_ = 0;
};

// True if a field may request less than the whole file.
bool is_particular(const Request& request) noexcept {
    for (const auto [name, value] : request.headers()) {
        if (same_name(name, "range") || same_name(name.substr(0, 3), "if-")) return true;
    }
    return false;
}

void send_kept(Exchange& exchange, const KeptFile& file) {
    if (!is_particular(exchange.request())) {
        exchange.response() = file.response;
        return exchange.respond();
    }
    FilePart part;
    const auto type = file.response.headers().get("Content-Type");
    if (!choose(exchange, file.state, type.value_or(""), part)) return;
    DCHECK(part.offset + part.size <= file.response.content().size());
    const std::string_view content = file.response.content().substr(
        static_cast<std::size_t>(part.offset), static_cast<std::size_t>(part.size));
    throw_if(exchange.response().copy_content(content));
    exchange.respond();
}

void redirect_to(Exchange& exchange, std::string_view location, int status) {
    Response& response = exchange.response();
    throw_if(response.set_error_page(status));
    throw_if(response.headers().set("Location", location));
    exchange.respond();
}

bool answers(Exchange& exchange) {
    const std::string_view method = exchange.request().method();
    if (method == "GET" || method == "HEAD") return true;
    throw_if(exchange.response().headers().set("Allow", "GET, HEAD"));
    exchange.respond(405);
    return false;
}

// Redirects a directory that was requested without a trailing slash, so that its relative links
// work.
void redirect_to_slash(Exchange& exchange) {
    const std::string path = encode_path(exchange.path()) + "/";
    redirect_to(exchange, join_location(path, "", exchange.query()), 301);
}

// A directory, reopened for each file, since its path may change its meaning: the directory may be
// removed and created again, and a deployment may replace a symbolic link in it.
struct Root {
    std::string path;
    DirectoryOptions options;
    DescriptorBudget::Files budgeted = {};

    OwnedFd open() const noexcept {
        return OwnedFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
};

// Makes a path independent of chdir(2). Throws std::filesystem::filesystem_error without a working
// directory.
std::string absolute(const std::string& path) {
    return path.empty() ? path : std::filesystem::absolute(path).string();
}

void serve_directory(const Root& root, Exchange& exchange) {
    if (!answers(exchange)) return;
    // No file name contains a slash.
    if (has_encoded_slash(exchange.raw_path())) return exchange.respond(404);
    std::string path(exchange.path_suffix());
    const std::size_t begin = path.find_first_not_of('/');
    path.erase(0, begin == std::string::npos ? path.size() : begin);
    const bool names_directory = path.empty() || path.back() == '/';
    if (names_directory) {
        if (exchange.path().back() == '/' && root.options.index.empty()) {
            return exchange.respond(404);
        }
        path += root.options.index;
    }
    // The root may be requested without a slash, which would break relative links.
    if (exchange.path_suffix().empty() && exchange.path().back() != '/') {
        return redirect_to_slash(exchange);
    }
    const bool keeps = root.options.keep.count() > 0;
    const Clock::time_point now = keeps ? exchange.engine().now() : Clock::time_point();
    KeptFiles* kept = nullptr;
    if (keeps) {
        std::shared_ptr<void>& place = exchange.per_engine(&root);
        if (!place) place = std::make_shared<KeptFiles>();
        kept = static_cast<KeptFiles*>(place.get());
        if (const KeptFile* file = kept->find(path, now)) return send_kept(exchange, *file);
    }
    const OwnedFd at = root.open();
    if (!at) return exchange.respond(status_of_errno(errno));
    OwnedFd file = open_beneath(at.get(), path);
    struct stat known {};
    if (!file || ::fstat(file.get(), &known) != 0) return exchange.respond(status_of_errno(errno));
    if (S_ISDIR(known.st_mode) && !names_directory) {
        return redirect_to_slash(exchange);
    }
    if (!S_ISREG(known.st_mode)) return exchange.respond(404);
    const FileState state = state_of(known);
    if (kept && state.size <= kSmallFile) {
        const auto until = deadline_after(now, root.options.keep);
        const KeptFile* small = kept->keep(path, file.get(), state, until, root.options.keep_bytes);
        if (small) return send_kept(exchange, *small);
    }
    send_file(exchange, std::move(file), state, media_type(path));
}

// Throws std::invalid_argument for a path with a NUL, at which the kernel would end it.
void check_path(const std::string& path, const char* what) {
    if (path.find('\0') == std::string::npos) return;
    throw std::invalid_argument("uaio: " + std::string(what) +
                                " contains a NUL: " + in_quotes(path));
}

// Checks the value of a field that a handler will send. Throws std::invalid_argument.
void check_value(std::string_view field, std::string_view value, const char* what) {
    Headers trial;
    const std::error_code error = trial.set(field, value);
    if (error == Errc::not_enough_memory) throw std::bad_alloc();
    if (error) {
        throw std::invalid_argument("uaio: http: a header cannot contain this " +
                                    std::string(what) + ": " + in_quotes(value));
    }
}

}  // namespace

Handler fixed_content(std::string content, const std::string& type) {
    check_value("Content-Type", type, "type");
    auto fixed = std::make_shared<const FixedResponse>(std::move(content), type);
    return [fixed = std::move(fixed)](Exchange& exchange) { FixedResponse::send(fixed, exchange); };
}

Handler redirect(std::string location, int status) {
    constexpr int kStatuses[] = {301, 302, 303, 307, 308};
    if (std::ranges::find(kStatuses, status) == std::end(kStatuses)) {
        throw std::invalid_argument("uaio: http::redirect(): not a status of a redirect: " +
                                    std::to_string(status) + "; use 301, 302, 303, 307 or 308");
    }
    if (location.empty())
        throw std::invalid_argument("uaio: http::redirect(): the location is empty");
    check_value("Location", location, "location");
    return [location = std::move(location), status](Exchange& exchange) {
        const std::string rest = encoded_rest(exchange.raw_path(), exchange.path_suffix());
        redirect_to(exchange, join_location(location, rest, exchange.query()), status);
    };
}

Handler file(const std::string& path, std::string type) {
    check_path(path, "http::file(): the path");
    if (type.empty()) type = media_type(path);
    check_value("Content-Type", type, "type");
    return [path = absolute(path), type = std::move(type),
            budgeted = DescriptorBudget::Files()](Exchange& exchange) {
        if (!answers(exchange)) return;
        OwnedFd file = open_file(path);
        struct stat state {};
        if (!file || ::fstat(file.get(), &state) != 0) {
            return exchange.respond(status_of_errno(errno));
        }
        if (!S_ISREG(state.st_mode)) return exchange.respond(404);
        send_file(exchange, std::move(file), state_of(state), type);
    };
}

Handler directory(const std::string& root, DirectoryOptions options) {
    check_path(root, "http::directory(): the root");
    check_path(options.index, "http::directory(): DirectoryOptions::index");
    auto shared =
        std::make_shared<Root>(Root{.path = absolute(root), .options = std::move(options)});
    if (!shared->open()) {
        throw std::system_error(errno, std::system_category(),
                                "cannot serve " + in_quotes(root) + " as a directory");
    }
    return [shared = std::move(shared)](Exchange& exchange) { serve_directory(*shared, exchange); };
}

}  // namespace uaio::http
