#include "cli/secret_input.h"
#include "base/rand.h"
#include "cli/prompt.h"
#include "os/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct secret *secret_input_fd(int fd, const char *name, struct err *err)
{
	AUTO(secret) *room = secret_new(SECRET_MAX, err);
	if (room == NULL)
		return NULL;
	char *to = secret_borrow_mut(room);
	size_t n = 0;
	char more;
	for (;;) {
		ssize_t got = n < SECRET_MAX ? read(fd, to + n, SECRET_MAX - n) : read(fd, &more, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			fail_errno(err, "cannot read '%s'", name);
			return NULL;
		}
		if (got == 0)
			break;
		if (n == SECRET_MAX) {
			mem_wipe(&more, 1);
			fail(err, ERR_LIMIT, "'%s' has more than %zu bytes", name, SECRET_MAX);
			return NULL;
		}
		n += (size_t)got;
	}
	return secret_from(str_of(to, n), err);
}

struct secret *secret_input_file(const char *path, struct err *err)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fail_errno(err, "cannot open '%s'", path);
		return NULL;
	}
	return secret_input_fd(fd, path, err);
}

struct secret *secret_without_line_end(struct secret *secret, struct err *err)
{
	if (secret == NULL)
		return NULL;
	struct str bytes = secret_borrow(secret);
	size_t n = bytes.n;
	while (n > 0 && (bytes.p[n - 1] == '\n' || bytes.p[n - 1] == '\r'))
		n--;
	if (n == bytes.n)
		return secret;
	struct secret *shorter = secret_from(str_slice(bytes, 0, n), err);
	secret_free(secret);
	return shorter;
}

struct secret *secret_input_line_file(const char *path, struct err *err)
{
	return secret_without_line_end(secret_input_file(path, err), err);
}

/* ------------------------------------------------------------------------------------------------------ a verb's value */

static struct secret *find_value(struct cli *cli, const char *question, struct err *err)
{
	const char *file = verb_text(cli->line, "value-file"), *dash = cli_argument(cli, 1);
	if (dash != NULL && strcmp(dash, "-") != 0) {
		fail(err, ERR_USAGE,
		     "a value is never an argument: it is asked for, or read from --value-file or from -");
		return NULL;
	}
	if (dash != NULL && file != NULL) {
		fail(err, ERR_USAGE, "the value comes from --value-file or from -, not from both");
		return NULL;
	}
	if (dash != NULL || (file != NULL && strcmp(file, "-") == 0))
		return secret_input_fd(STDIN_FILENO, "standard input", err);
	if (file != NULL)
		return secret_input_file(file, err);
	if (prompt_possible())
		return prompt_hidden(question, err);
	fail(err, ERR_MISSING_VALUE, "there is no terminal to ask for the value at: give --value-file or -");
	return NULL;
}

struct secret *secret_input_value(struct cli *cli, const char *question, bool by_line, struct err *err)
{
	AUTO(secret) *value = find_value(cli, question, err);
	if (value != NULL && by_line)
		value = secret_without_line_end(TAKE(value), err);
	if (value == NULL)
		return NULL;
	if (secret_size(value) == 0) {
		fail(err, ERR_MISSING_VALUE, "the value is empty");
		return NULL;
	}
	return TAKE(value);
}

/* ----------------------------------------------------------------------------------------------------------- key files */

struct secret *key_file_read(const char *path, struct err *err)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		fail_errno(err, "cannot open the key file '%s'", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
		fail(err, ERR_VALIDATION_ERROR,
		     "the key file '%s' must be a file of yours that nobody else may read: chmod 600 it", path);
		return NULL;
	}
	AUTO(secret) *key = secret_input_fd(fd, path, err);
	if (key == NULL)
		return NULL;
	if (secret_size(key) != KEY_FILE_SIZE) {
		fail(err, ERR_VALIDATION_ERROR, "the key file '%s' has %zu bytes, not %d", path, secret_size(key),
		     KEY_FILE_SIZE);
		return NULL;
	}
	return TAKE(key);
}

struct secret *key_file_read_or_make(const char *path, bool *ret_made, struct err *err)
{
	AUTO(secret) *key = secret_new(KEY_FILE_SIZE, err);
	if (key == NULL)
		return NULL;
	rand_bytes(secret_borrow_mut(key), KEY_FILE_SIZE);
	int made = file_create(path, secret_borrow(key), 0600, err);
	if (made < 0)
		return NULL;
	*ret_made = made == 1;
	return made == 1 ? TAKE(key) : key_file_read(path, err);
}
