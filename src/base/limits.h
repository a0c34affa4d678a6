/*
 * limits: the maxima that a connector, its author or a service can meet, with the reason beside each
 *
 * What only our own programs meet stands where it is used. Bytes unless the name says otherwise. A limit that a
 * connector can meet is named in details.limit of resource_limit_exceeded by the word in brackets.
 */
#pragma once
#include <stdint.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define MS  UINT64_C(1000000) /* nanoseconds */

/* After so long without use the vault is locked, unless the daemon is told otherwise. */
#define LIMIT_AUTO_LOCK_HOURS 12

/* One call of a connector. */
#define LIMIT_MEMORY_DEFAULT  (64 * MIB)      /* [memory] linear memory */
#define LIMIT_MEMORY_CEILING  (1 * GIB)       /* whoever asks for more gets this */
#define LIMIT_WALL_DEFAULT_MS UINT64_C(30000) /* [wall_time] from instantiation to the end */
#define LIMIT_WALL_CEILING_MS UINT64_C(300000)
#define LIMIT_STDOUT          (8 * MIB)  /* [stdout] */
#define LIMIT_STDERR_TAIL     (64 * KIB) /* the last of standard error; the rest is dropped */
#define LIMIT_LOG_LINES       1000       /* [log] lines; what follows is counted and dropped */
#define LIMIT_LOG_LINE        (4 * KIB)  /* longer lines are cut */
#define LIMIT_AUDIT_LINES     100        /* audit_emit() answers -3 to what follows */
#define LIMIT_AUDIT_LINE      (4 * KIB)  /* audit_emit() answers -2 to a longer one */
#define LIMIT_AUDIT_DEPTH     60 /* audit_emit() answers -1 to one that is nested deeper; below what an event holds */
#define LIMIT_TRACE_LINES     10000      /* host calls that a trace shows; what follows is counted and dropped */
#define LIMIT_TRACE_LINE      KIB        /* longer ones are cut */
#define LIMIT_REQUEST_BODY    (8 * MIB)  /* [request_body] */
#define LIMIT_RESPONSE_BODY   (32 * MIB) /* [response_body] after decompression */
#define LIMIT_INPUT           (16 * MIB) /* standard input: op and arguments */
/* An envelope holds a body whose every byte may be a six-byte escape. */
#define LIMIT_ENVELOPE (6 * LIMIT_REQUEST_BODY + 1 * MIB)

/* Compiling [compile]. Real Go modules of 4 to 20 MB have up to 8,300 functions, 20 locals, 13,000 table elements. */
#define LIMIT_MODULE         (64 * MIB)
#define LIMIT_FUNCTIONS      100000
#define LIMIT_LOCALS         10000 /* of one function */
#define LIMIT_FUNCTION_BODY  (4 * MIB)
#define LIMIT_TABLE_ELEMENTS 1000000 /* over all tables */
#define LIMIT_COMPILED_CODE  (256 * MIB)
#define LIMIT_COMPILE_MS     UINT64_C(60000)
#define LIMIT_COMPILE_MEMORY (2 * GIB)

/* Egress. */
#define LIMIT_REDIRECTS        10
#define LIMIT_RESPONSE_HEADERS (256 * KIB) /* all header lines of one response */
#define LIMIT_REQUESTS_OPEN    256         /* requests under way; the next wait */
#define LIMIT_REQUESTS_WAITING (64 * MIB)  /* envelopes of those that wait; above, a request fails */
#define LIMIT_EGRESS_BUFFERED  (256 * MIB) /* answers waiting to be read by the parent; above, transfers pause */
