/*
 * banned: names that no file of ours may use, refused by the compiler
 *
 * Included before the first line of every file (-include). The system headers that declare the names come first, so
 * that their guards keep later includes from meeting a poisoned one. Instead of:
 *
 *   strcpy strcat stpcpy sprintf vsprintf gets   a capped buffer (base/buf.h) or snprintf
 *   strtol ... atoi ..., sscanf                  str_to_u64() (base/str.h), duration_parse() (base/time.h), size_parse()
 *   strtok                                       str_cut() (base/str.h)
 *   gmtime localtime ctime asctime               time_format_*() (base/time.h)
 *   alloca                                       an arena (base/arena.h)
 *   system popen                                 child_start() (os/child.h)
 *   tmpnam tempnam mktemp                        mkostemp(), O_TMPFILE, memfd_create()
 *
 * strtod stays: a number's syntax is checked before it is called (text/json.h).
 */
#pragma once
#include <alloca.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#undef alloca
#undef strcpy
#undef strcat
#undef stpcpy
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat stpcpy sprintf vsprintf gets
#pragma GCC poison strtok strtol strtoll strtoul strtoull strtoq strtouq strtoimax strtoumax
#pragma GCC poison atoi atol atoll atof scanf fscanf sscanf vscanf vfscanf vsscanf
#pragma GCC poison gmtime gmtime_r localtime localtime_r ctime ctime_r asctime asctime_r
#pragma GCC poison alloca system popen tmpnam tmpnam_r tempnam mktemp
