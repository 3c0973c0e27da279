// A network whose other host is a thread of this process: a tun device in a network namespace of
// its own, where the kernel really sends without a copy, unlike on the loopback. The host accepts
// connections to kHost, takes their data at once and acknowledges it. Both last as long as the
// process. One connection at a time.
#pragma once

#include <uaio/endpoint.h>

namespace uaio::bench {

// Moves the calling thread, and threads that it starts later, into the network, which the first
// call makes. Throws Unavailable: needs root, /dev/net/tun and BPF.
void enter_tun_network();

// A host there, by its address and any port.
Endpoint host_in_tun_network();

}  // namespace uaio::bench
