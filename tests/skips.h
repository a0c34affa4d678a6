/*
 * skips: a test that cannot be done here says why
 *
 * skip_because() is for what a machine or a build may lack: a feature of the kernel, a privilege, real mlock() under a
 * sanitizer. skip_without() is for what deps/debian-packages brings: with AILERON_NO_SKIP=1, as in tools/check, it fails.
 * Include it after cmocka.h.
 */
#pragma once
#include <stdlib.h>
#include <string.h>

#define skip_because(why)                                                                                              \
	do {                                                                                                           \
		print_message("skipped: %s\n", why);                                                                   \
		skip();                                                                                                \
	} while (0)

#define skip_without(program)                                                                                          \
	do {                                                                                                           \
		const char *strict_ = getenv("AILERON_NO_SKIP");                                                       \
		if (strict_ != NULL && strcmp(strict_, "1") == 0)                                                      \
			fail_msg("%s is missing; tools/install-packages check installs it", program);                  \
		skip_because(program " is missing");                                                                   \
	} while (0)
