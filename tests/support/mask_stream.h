// Stands in for TLS where none is needed: a layer whose two sides first tell each other a word, and
// then change every byte by a mask. Shows in which order layers were stacked. For one thread.
#pragma once

#include <uaio/dialer.h>

#include <string>

namespace uaio {

// Every byte with these bits turned over.
std::string masked(std::string text, unsigned char mask);

// Writes "MASK <host>\n" and masks what follows, both ways. Tells the hosts that it was started
// for.
StartTls start_mask(unsigned char mask, std::string& hosts);

}  // namespace uaio
