#include "transport/http/request_method.h"

namespace uaio::http {

RequestMethod request_method(std::string_view method) noexcept {
    return method == "HEAD"      ? RequestMethod::head
           : method == "CONNECT" ? RequestMethod::connect
                                 : RequestMethod::other;
}

std::string_view method_of(RequestMethod asked) noexcept {
    switch (asked) {
        case RequestMethod::head: return "HEAD";
        case RequestMethod::connect: return "CONNECT";
        default: return "GET";
    }
}

}  // namespace uaio::http
