#include "crypto/secret.h"
#include "crypto/constant_time.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * One mapping a secret: a page that cannot be touched, the bytes at the very end of theirs, and another such page. A run
 * past the end faults at once, one before the beginning within a page.
 */
struct secret {
	struct secret *next; /* while it is kept */
	char *mapping;
	size_t mapping_size; /* with both guards */
	char *bytes;
	size_t n;
	bool locked;
	bool counted; /* in held_locked */
};

/*
 * Secrets of a page, wiped and waiting to be used again: mapping and locking costs 20 µs, and a request needs a few. The
 * pages keep their guards and their lock.
 */
#define KEPT_MAX 16
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct secret *kept;
static size_t n_kept;
static size_t held_locked; /* bytes, guards not counted, that secret_new_locked() gave out; under kept_lock too */

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void place(struct secret *secret, size_t n)
{
	secret->n = n;
	secret->bytes = secret->mapping + secret->mapping_size - page_size() - n;
}

/* Gives the pages between the guards their properties; all but the lock are part of the promise. */
static int protect(struct secret *secret, struct err *err)
{
	size_t page = page_size();
	char *inner = secret->mapping + page;
	size_t inner_size = secret->mapping_size - 2 * page;
	if (mprotect(inner, inner_size, PROT_READ | PROT_WRITE) != 0)
		return fail_errno(err, "cannot open memory for a secret");
	if (madvise(inner, inner_size, MADV_DONTDUMP) != 0)
		return fail_errno(err, "cannot keep a secret out of core dumps");
	if (madvise(inner, inner_size, MADV_WIPEONFORK) != 0)
		return fail_errno(err, "cannot keep a secret from forked children");
	secret->locked = mlock(inner, inner_size) == 0;
	place(secret, secret->n);
	return 0;
}

/* Locks are not inherited: a forked child begins with none kept, and with its own say about the list. */
static void forget_kept(void)
{
	pthread_mutex_init(&kept_lock, NULL);
	kept = NULL;
	n_kept = 0;
	held_locked = 0;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget_kept);
}

static struct secret *take_kept(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&kept_lock);
	struct secret *secret = kept;
	if (secret != NULL) {
		kept = secret->next;
		n_kept--;
	}
	pthread_mutex_unlock(&kept_lock);
	return secret;
}

static bool keep(struct secret *secret)
{
	if (secret->bytes == NULL || secret->mapping_size != 3 * page_size())
		return false;
	pthread_mutex_lock(&kept_lock);
	bool room = n_kept < KEPT_MAX;
	if (room) {
		secret->next = kept;
		kept = secret;
		n_kept++;
	}
	pthread_mutex_unlock(&kept_lock);
	return room;
}

struct secret *secret_new(size_t n, struct err *err)
{
	if (n > SECRET_MAX) {
		fail(err, ERR_LIMIT, "secret of %zu bytes: at most %zu are accepted", n, SECRET_MAX);
		return NULL;
	}
	size_t page = page_size();
	struct secret *again = n <= page ? take_kept() : NULL;
	if (again != NULL) {
		place(again, n);
		return again;
	}
	size_t inner_size = (n / page + (n % page > 0 || n == 0 ? 1 : 0)) * page;
	void *mapping = mmap(NULL, inner_size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapping == MAP_FAILED) {
		fail_errno(err, "cannot get memory for a secret");
		return NULL;
	}
	struct secret *secret = NEW(struct secret);
	*secret = (struct secret){.mapping = mapping, .mapping_size = inner_size + 2 * page, .n = n};
	if (protect(secret, err) < 0) {
		secret_free(secret);
		return NULL;
	}
	return secret;
}

struct secret *secret_from(struct str bytes, struct err *err)
{
	struct secret *secret = secret_new(bytes.n, err);
	if (secret != NULL && bytes.n > 0)
		memcpy(secret->bytes, bytes.p, bytes.n);
	return secret;
}

/* Every value of that name where it stands; unsetenv() only takes the pointers away. */
static void wipe_variable(const char *name)
{
	size_t n = strlen(name);
	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		if (strncmp(*entry, name, n) == 0 && (*entry)[n] == '=')
			mem_wipe(*entry + n + 1, strlen(*entry + n + 1));
	}
	unsetenv(name);
}

struct secret *secret_from_env(const char *name, struct err *err)
{
	const char *value = getenv(name);
	if (value == NULL)
		return NULL;
	struct secret *secret = secret_from(str_from(value), err);
	if (secret == NULL) {
		wrap(err, "reading the variable '%s'", name);
		return NULL;
	}
	wipe_variable(name);
	return secret;
}

static size_t inner_size_of(const struct secret *secret)
{
	return secret->mapping_size - 2 * page_size();
}

static bool count(struct secret *secret)
{
	pthread_mutex_lock(&kept_lock);
	secret->counted = held_locked + inner_size_of(secret) <= SECRET_LOCKED_MAX;
	if (secret->counted)
		held_locked += inner_size_of(secret);
	pthread_mutex_unlock(&kept_lock);
	return secret->counted;
}

static void discount(struct secret *secret)
{
	if (!secret->counted)
		return;
	pthread_mutex_lock(&kept_lock);
	held_locked -= MIN(held_locked, inner_size_of(secret));
	pthread_mutex_unlock(&kept_lock);
	secret->counted = false;
}

struct secret *secret_new_locked(size_t n, struct err *err)
{
	AUTO(secret) *secret = secret_new(n, err);
	if (secret == NULL)
		return NULL;
	/* One that was kept may be from before the limit was raised. */
	if (!secret->locked && mlock(secret->mapping + page_size(), inner_size_of(secret)) != 0) {
		fail_errno(err, "cannot lock memory for a secret (raise the limit of locked memory: 'ulimit -l', "
				"LimitMEMLOCK)");
		return NULL;
	}
	secret->locked = true;
	if (!count(secret)) {
		fail(err, ERR_LIMIT, "more than %zu bytes of secrets are open at once", SECRET_LOCKED_MAX);
		return NULL;
	}
	return TAKE(secret);
}

void secret_free(struct secret *secret)
{
	if (secret == NULL)
		return;
	if (secret->bytes != NULL)
		mem_wipe(secret->bytes, secret->n);
	discount(secret);
	if (keep(secret))
		return;
	munmap(secret->mapping, secret->mapping_size); /* unlocks */
	free(secret);
}

size_t secret_size(const struct secret *secret)
{
	return secret->n;
}

struct str secret_borrow(const struct secret *secret)
{
	return (struct str){secret->bytes, secret->n};
}

char *secret_borrow_mut(struct secret *secret)
{
	return secret->bytes;
}

bool secret_eq(const struct secret *a, struct str b)
{
	return constant_time_eq(secret_borrow(a), b);
}

bool secret_locked(const struct secret *secret)
{
	return secret->locked;
}
