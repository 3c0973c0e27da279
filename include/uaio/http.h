// Includes all of HTTP/1.1 (RFC 9110, RFC 9112): messages, connections, the client, the server and
// its handlers for files. Each header can be included alone.
#pragma once

#include <uaio/http_client.h>
#include <uaio/http_connection.h>
#include <uaio/http_error.h>
#include <uaio/http_files.h>
#include <uaio/http_server.h>
