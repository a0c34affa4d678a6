/*
 * names: words of the protocol that more than one file says
 *
 * Keys of _meta of revision 2026-07-28, and the extension that this server knows.
 */
#pragma once
#include "base/str.h"

#define NAME_PREFIX "io.modelcontextprotocol/"

#define NAME_PROTOCOL_VERSION S(NAME_PREFIX "protocolVersion")
#define NAME_CAPABILITIES     S(NAME_PREFIX "clientCapabilities")
#define NAME_CLIENT_INFO      S(NAME_PREFIX "clientInfo")
#define NAME_LOG_LEVEL        S(NAME_PREFIX "logLevel")
#define NAME_SERVER_INFO      S(NAME_PREFIX "serverInfo")
#define NAME_SUBSCRIPTION     S(NAME_PREFIX "subscriptionId")
#define NAME_TASKS            S(NAME_PREFIX "tasks")
