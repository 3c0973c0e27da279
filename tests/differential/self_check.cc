#include "tests/differential/self_check.h"

#include "tests/differential/judge.h"

#include <cstdio>
#include <initializer_list>

namespace differential {
namespace {

Row row_of(std::vector<Expectation> expectations) {
    return {"J", "made up", nullptr, std::move(expectations)};
}

Played played(std::initializer_list<Observation::Field> fields) {
    Played result;
    for (const auto& [name, value] : fields)
        result.observation.add(name, value);
    return result;
}

Played died() {
    Played result;
    result.died = true;
    return result;
}

bool report(const char* sentence, bool ok) {
    if (ok) {
        std::printf("ok the judge %s\n", sentence);
    } else {
        std::printf("not ok the judge %s: it does not\n", sentence);
    }
    return ok;
}

}  // namespace

bool check_judge() {
    const Played full = played({{"write", "ok/5"}});
    const Played part = played({{"write", "canceled/3"}});
    const Played more = played({{"write", "ok/5"}, {"never ended", "true"}});
    const Row alike = row_of({same("write", "ok/5")});
    const Row apart = row_of({differs("write", "ok/5", "canceled/3", "of a reason")});
    const Row racing = row_of({may_differ("write", "ok/5 | canceled/3", "ok/5", "of a race")});
    const Row dying =
        row_of({differs(kProcess, kDies, kLives, "nng stops"), same("write", "ok/5")});
    bool ok = report("passes equal results", complaints(alike, {{full, full}}).empty());
    ok &= report("finds a difference that no row explains",
                 complaints(alike, {{full, part}}).size() == 1);
    ok &= report("finds an equal deviation of both", complaints(alike, {{part, part}}).size() == 2);
    ok &= report("passes a stated difference", complaints(apart, {{full, part}}).empty());
    ok &= report("finds a stated difference that did not occur",
                 !complaints(apart, {{full, full}}).empty());
    ok &= report("finds a stated difference that is reversed",
                 !complaints(apart, {{part, full}}).empty());
    ok &= report("requires a stated difference in one of several runs only",
                 complaints(row_of({differs("write", "ok/5 | canceled/3", "ok/5", "of a race")}),
                            {{full, full}, {part, full}})
                     .empty());
    ok &= report("passes a race that did not occur", complaints(racing, {{full, full}}).empty());
    ok &= report("finds an unexpected observation", complaints(alike, {{more, full}}).size() == 1);
    ok &=
        report("finds a missing observation", complaints(alike, {{full, played({})}}).size() == 1);
    ok &= report("finds a process that stopped", complaints(alike, {{full, died()}}).size() == 1);
    ok &= report("passes a process that was expected to stop",
                 complaints(dying, {{died(), full}}).empty());
    ok &= report("finds a process that was expected to stop and lives",
                 !complaints(dying, {{full, full}}).empty());
    return ok;
}

}  // namespace differential
