// HTTP/1.1 (RFC 9110, RFC 9112): all of it.
#pragma once

#include <uaio/http_client.h>
#include <uaio/http_connection.h>
#include <uaio/http_files.h>
#include <uaio/http_server.h>
