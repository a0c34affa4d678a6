#include "programs/dev-run/binding.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Into secret memory and nowhere else. */
static int fill_from(int fd, struct secret *secret)
{
	char *to = secret_borrow_mut(secret);
	size_t left = secret_size(secret);
	while (left > 0) {
		ssize_t n = read(fd, to, left);
		if (n == 0)
			errno = EIO;
		if (n == 0 || (n < 0 && errno != EINTR))
			return -1;
		if (n > 0) {
			to += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

static int read_key_file(const char *path, struct secret **ret, struct err *err)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "cannot read the key file '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > SECRET_MAX)
		return fail(err, ERR_VALIDATION_ERROR, "the key file '%s' is no file of 1 to %zu bytes", path,
			    SECRET_MAX);
	AUTO(secret) *key = secret_new((size_t)st.st_size, err);
	if (key == NULL)
		return -1;
	if (fill_from(fd, key) < 0)
		return fail_errno(err, "cannot read the key file '%s'", path);
	*ret = TAKE(key);
	return 0;
}

int dev_binding_read(struct dev_binding *ret, struct err *err)
{
	struct dev_binding binding = {
		.username = str_from(getenv("AILERON_DEV_USERNAME")),
		.region = str_from(getenv("AILERON_DEV_REGION")),
		.access_key_id = str_from(getenv("AILERON_DEV_ACCESS_KEY_ID")),
	};
	if (getenv("AILERON_DEV_TOKEN") != NULL) {
		binding.token = secret_from_env("AILERON_DEV_TOKEN", err);
		if (binding.token == NULL)
			return -1;
	}
	const char *path = getenv("AILERON_DEV_KEY_FILE");
	if (path != NULL && path[0] != '\0' && read_key_file(path, &binding.key, err) < 0) {
		dev_binding_release(&binding);
		return -1;
	}
	*ret = binding;
	return 0;
}

void dev_binding_forget(struct dev_binding *binding)
{
	secret_free(TAKE(binding->token));
	secret_free(TAKE(binding->key));
}

void dev_binding_release(struct dev_binding *binding)
{
	dev_binding_forget(binding);
}

const char *dev_binding_variable(enum credential_kind kind)
{
	return kind == CREDENTIAL_SIGNING_KEY ? "AILERON_DEV_KEY_FILE" : "AILERON_DEV_TOKEN";
}

struct credential dev_binding_for(const struct dev_binding *binding, const struct connector_manifest *manifest)
{
	const struct manifest_credential *declared = &manifest->credential;
	if (!declared->present)
		return (struct credential){.binding = BINDING_NO_RESOLVER};
	const struct secret *secret = binding->token;
	if (declared->kind == CREDENTIAL_SIGNING_KEY && binding->key != NULL)
		secret = binding->key;
	if (secret == NULL || secret_size(secret) == 0)
		return (struct credential){
			.binding = BINDING_MISSING,
			.error = S("credential: no binding for this capability"),
		};
	return (struct credential){
		.binding = BINDING_FOUND,
		.kind = declared->kind,
		.username = binding->username,
		.region = binding->region,
		.access_key_id = binding->access_key_id,
		.pool = S("dev"),
		.secret = secret,
	};
}
