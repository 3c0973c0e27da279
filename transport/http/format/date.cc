#include "transport/http/format/date.h"

#include "base/check.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace uaio::http {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

constexpr std::int64_t midnight(int year, unsigned month, unsigned day) noexcept {
    using namespace std::chrono;
    return sys_seconds(sys_days(year_month_day(std::chrono::year(year), std::chrono::month(month),
                                               std::chrono::day(day))))
        .time_since_epoch()
        .count();
}
static_assert(has_date(midnight(0, 1, 1)) && !has_date(midnight(0, 1, 1) - 1));
static_assert(has_date(midnight(10000, 1, 1) - 1) && !has_date(midnight(10000, 1, 1)));

// Reads a text from its front. After the last read, ok() reports any mismatch.
class Reader {
public:
    explicit Reader(std::string_view text) noexcept : rest_(text) {}

    bool ok() const noexcept { return ok_ && rest_.empty(); }

    void literal(std::string_view text) noexcept { take(rest_.starts_with(text), text.size()); }
    int number(std::size_t digits) noexcept {
        int value = 0;
        bool fits = rest_.size() >= digits;
        for (std::size_t i = 0; fits && i < digits; ++i) {
            fits = rest_[i] >= '0' && rest_[i] <= '9';
            value = 10 * value + (rest_[i] - '0');
        }
        take(fits, digits);
        return value;
    }
    // Two digits, or a space and one digit (RFC 9110, date3).
    int padded_number() noexcept {
        if (!rest_.starts_with(' ')) return number(2);
        literal(" ");
        return number(1);
    }
    // The name of a day, whole or its first three letters. Sunday is 0.
    unsigned day(bool whole) noexcept {
        for (unsigned day = 0; day < kDays.size(); ++day) {
            const std::string_view name = kDays[day].substr(0, whole ? std::string_view::npos : 3);
            if (!rest_.starts_with(name)) continue;
            take(true, name.size());
            return day;
        }
        take(false, 0);
        return 0;
    }
    // January is 1.
    unsigned month() noexcept {
        const auto found = std::ranges::find(kMonths, rest_.substr(0, 3));
        take(found != kMonths.end(), 3);
        return static_cast<unsigned>(found - kMonths.begin()) + 1;
    }

private:
    void take(bool fits, std::size_t size) noexcept {
        ok_ = ok_ && fits;
        rest_.remove_prefix(std::min(size, rest_.size()));
    }

    std::string_view rest_;
    bool ok_ = true;
};

struct Fields {
    unsigned weekday = 0;
    int day = 0;
    unsigned month = 0;
    int year = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
};

void read_time(Reader& reader, Fields& out) noexcept {
    out.hour = reader.number(2);
    reader.literal(":");
    out.minute = reader.number(2);
    reader.literal(":");
    out.second = reader.number(2);
}

// Nothing for an invalid date or time of day; second 60 is a leap second.
std::optional<std::int64_t> time_of(const Fields& fields) noexcept {
    using namespace std::chrono;
    if (fields.hour > 23 || fields.minute > 59 || fields.second > 60) return {};
    const year_month_day date(year(fields.year), std::chrono::month(fields.month),
                              std::chrono::day(static_cast<unsigned>(fields.day)));
    if (!date.ok()) return {};
    const sys_seconds time =
        sys_days(date) + hours(fields.hour) + minutes(fields.minute) + seconds(fields.second);
    return time.time_since_epoch().count();
}

bool has_its_weekday(const Fields& fields, std::int64_t time) noexcept {
    using namespace std::chrono;
    const std::int64_t moment = fields.second == 60 ? time - 1 : time;
    return weekday(floor<days>(sys_seconds(seconds(moment)))).c_encoding() == fields.weekday;
}

std::optional<std::int64_t> parse_fixdate(std::string_view text) noexcept {
    Reader reader(text);
    Fields fields;
    fields.weekday = reader.day(false);
    reader.literal(", ");
    fields.day = reader.number(2);
    reader.literal(" ");
    fields.month = reader.month();
    reader.literal(" ");
    fields.year = reader.number(4);
    reader.literal(" ");
    read_time(reader, fields);
    reader.literal(" GMT");
    if (!reader.ok()) return {};
    const auto time = time_of(fields);
    return time && has_its_weekday(fields, *time) ? time : std::nullopt;
}

std::optional<std::int64_t> parse_asctime(std::string_view text) noexcept {
    Reader reader(text);
    Fields fields;
    fields.weekday = reader.day(false);
    reader.literal(" ");
    fields.month = reader.month();
    reader.literal(" ");
    fields.day = reader.padded_number();
    reader.literal(" ");
    read_time(reader, fields);
    reader.literal(" ");
    fields.year = reader.number(4);
    if (!reader.ok()) return {};
    const auto time = time_of(fields);
    return time && has_its_weekday(fields, *time) ? time : std::nullopt;
}

// Does not check the day of the week, which depends on the century.
std::optional<std::int64_t> parse_rfc850(std::string_view text, std::int64_t now) noexcept {
    using namespace std::chrono;
    Reader reader(text);
    Fields fields;
    fields.weekday = reader.day(true);
    reader.literal(", ");
    fields.day = reader.number(2);
    reader.literal("-");
    fields.month = reader.month();
    reader.literal("-");
    const int digits = reader.number(2);
    reader.literal(" ");
    read_time(reader, fields);
    reader.literal(" GMT");
    if (!reader.ok()) return {};
    const sys_seconds moment{seconds(now)};
    const year_month_day today(floor<days>(moment));
    const int last = int{today.year()} + 50;
    fields.year = last - (last - digits) % 100;
    // Compares calendar fields: 50 years after a 29th of February there is no such day.
    const auto order = [](int of_year, unsigned of_month, unsigned of_day, std::int64_t of_second) {
        return ((of_year * 12 + of_month) * std::int64_t{32} + of_day) * 100'000 + of_second;
    };
    const auto day = static_cast<unsigned>(fields.day);
    const std::int64_t clock = (fields.hour * 60 + fields.minute) * 60 + fields.second;
    const std::int64_t now_clock = (moment - floor<days>(moment)).count();
    const bool too_late = order(fields.year, fields.month, day, clock) >
                          order(last, unsigned{today.month()}, unsigned{today.day()}, now_clock);
    if (too_late) fields.year -= 100;
    return time_of(fields);
}

}  // namespace

DateText format_date(std::int64_t seconds) noexcept {
    using namespace std::chrono;
    DCHECK(has_date(seconds));
    const sys_seconds time{std::chrono::seconds(seconds)};
    const sys_days day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(time - day);
    char text[64];
    [[maybe_unused]] const int size = std::snprintf(
        text, sizeof text, "%.3s, %02u %s %04d %02d:%02d:%02d GMT",
        kDays[weekday(day).c_encoding()].data(), unsigned{date.day()},
        kMonths[unsigned{date.month()} - 1], int{date.year()},
        static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()));
    DateText out;
    DCHECK(size == static_cast<int>(out.size()));
    std::copy_n(text, out.size(), out.begin());
    return out;
}

std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now) noexcept {
    if (text.size() < 4) return {};
    if (text[3] == ',') return parse_fixdate(text);
    return text[3] == ' ' ? parse_asctime(text) : parse_rfc850(text, now);
}

std::optional<std::int64_t> parse_date(std::string_view text) noexcept {
    return parse_date(text, std::time(nullptr));
}

}  // namespace uaio::http
