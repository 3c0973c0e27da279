#include "transport/http/date.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace uaio::http {
namespace {

constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

DateText format_date(std::int64_t seconds) noexcept {
    using namespace std::chrono;
    const sys_seconds time{std::chrono::seconds(seconds)};
    const sys_days day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(time - day);
    char text[64];
    std::snprintf(
        text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT", kDays[weekday(day).c_encoding()],
        unsigned{date.day()}, kMonths[unsigned{date.month()} - 1], int{date.year()},
        static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()));
    DateText out;
    std::copy_n(text, out.size(), out.begin());
    return out;
}

std::optional<std::int64_t> parse_date(std::string_view text) noexcept {
    using namespace std::chrono;
    if (text.size() != kDateSize) return {};
    const auto number = [text](std::size_t at, std::size_t digits) {
        int value = 0;
        for (std::size_t i = at; i < at + digits; ++i) {
            if (text[i] < '0' || text[i] > '9') return -1;
            value = 10 * value + (text[i] - '0');
        }
        return value;
    };
    const auto month = std::ranges::find(kMonths, text.substr(8, 3));
    const int day = number(5, 2);
    const int year_number = number(12, 4);
    const int hour = number(17, 2);
    const int minute = number(20, 2);
    const int second = number(23, 2);
    if (month == kMonths.end() || std::min({day, year_number, hour, minute, second}) < 0) return {};
    if (hour > 23 || minute > 59 || second > 60) return {};
    const year_month_day date(
        year(year_number), std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
        std::chrono::day(static_cast<unsigned>(day)));
    if (!date.ok()) return {};
    const sys_seconds time = sys_days(date) + hours(hour) + minutes(minute) + seconds(second);
    // It has one form only, so what does not come out as it went in was another one.
    const std::int64_t found = time.time_since_epoch().count();
    const DateText again = format_date(found);
    if (second < 60 && text != std::string_view(again.data(), again.size())) return {};
    return found;
}

}  // namespace uaio::http
