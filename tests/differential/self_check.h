// Shows that the judge finds faults, on rows made for that: the output of a comparison that never
// fails would be the same. Prints a line for each case.
#pragma once

namespace differential {

// False if the judge missed something.
bool check_judge();

}  // namespace differential
