// A simple substitute for TLS: a layer whose two sides exchange a greeting and then mask every
// byte. Shows in which order layers were stacked. For one thread.
#pragma once

#include <uaio/dialer.h>

#include <string>

namespace uaio {

// Every byte with these bits inverted.
std::string masked(std::string text, unsigned char mask);

// Writes "MASK <host>\n" and masks all later bytes in both directions. Reports the hosts that it
// was started for.
StartTls start_mask(unsigned char mask, std::string& hosts);

}  // namespace uaio
