/*
 * secret_input: values and key files that a person hands over, into secret memory
 *
 * From a file, a descriptor or the terminal, and never from an argument. At most SECRET_MAX bytes.
 */
#pragma once
#include "cli/cli.h"
#include "crypto/secret.h"

/* All bytes as they are. LIMIT over SECRET_MAX. `name` is for messages. */
struct secret *secret_input_fd(int fd, const char *name, struct err *err) __attribute__((warn_unused_result));
struct secret *secret_input_file(const char *path, struct err *err) __attribute__((warn_unused_result));
/* The same without the line ends at its end. */
struct secret *secret_input_line_file(const char *path, struct err *err) __attribute__((warn_unused_result));
struct secret *secret_without_line_end(struct secret *secret, struct err *err)
	__attribute__((warn_unused_result)); /* consumes it; NULL stays NULL */

/*
 * A verb's value: of --value-file, of standard input when its second argument or the file is "-", else typed at the terminal.
 * `by_line`: line ends at its end are no part of it. MISSING_VALUE when it is empty, or when there is no terminal.
 */
struct secret *secret_input_value(struct cli *cli, const char *question, bool by_line, struct err *err)
	__attribute__((warn_unused_result));

#define KEY_FILE_SIZE 32
/* Exactly KEY_FILE_SIZE bytes, in a file that is ours and that nobody else may read. */
struct secret *key_file_read(const char *path, struct err *err) __attribute__((warn_unused_result));
/* The same; a file that is not there is made, of random bytes, 0600: *ret_made. */
struct secret *key_file_read_or_make(const char *path, bool *ret_made, struct err *err)
	__attribute__((warn_unused_result));
