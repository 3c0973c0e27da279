// The invariants of serving a file that changes meanwhile: every kind of change, at every moment of
// a response, for files of several sizes, whole and in part. For one thread.
#pragma once

#include "tests/support/file_scene.h"

namespace uaio {

// Fails the running test if any of them is violated.
void check_file_changes(KernelKind kind, const SceneLayer& layer = {});

}  // namespace uaio
