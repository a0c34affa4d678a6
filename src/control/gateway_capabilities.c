#include "control/gateway_capabilities.h"
#include "base/base64.h"
#include "base/map.h"
#include "base/rand.h"
#include "crypto/constant_time.h"
#include "crypto/digest.h"
#include <pthread.h>
#include <stdlib.h>

#define RANDOM_BYTES 32

struct entry {
	unsigned char hash[SHA256_SIZE];
	char session[GATEWAY_SESSION_SIZE];
};

struct gateway_capabilities {
	pthread_mutex_t lock;
	struct map *entries; /* hash -> struct entry */
};

struct gateway_capabilities *gateway_capabilities_new(void)
{
	struct gateway_capabilities *capabilities = NEW(struct gateway_capabilities);
	pthread_mutex_init(&capabilities->lock, NULL);
	capabilities->entries = map_new(GATEWAY_CAPABILITIES_MAX);
	return capabilities;
}

void gateway_capabilities_free(struct gateway_capabilities *capabilities)
{
	if (capabilities == NULL)
		return;
	map_free_with(capabilities->entries, free);
	pthread_mutex_destroy(&capabilities->lock);
	free(capabilities);
}

static struct str key_of(const unsigned char hash[SHA256_SIZE])
{
	return str_of(hash, SHA256_SIZE);
}

int gateway_capabilities_mint(struct gateway_capabilities *capabilities, struct str session,
			      char ret[GATEWAY_CAPABILITY_TEXT + 1], struct err *err)
{
	unsigned char bytes[RANDOM_BYTES];
	rand_bytes(bytes, sizeof bytes);
	AUTO_BUF text = BUF_INIT_SECRET(GATEWAY_CAPABILITY_TEXT + 1);
	base64_encode(&text, str_of(bytes, sizeof bytes), BASE64_URL_NOPAD);
	mem_wipe(bytes, sizeof bytes);
	struct entry *entry = NEW(struct entry);
	sha256(buf_str(&text), entry->hash);
	memcpy(entry->session, session.p, MIN(session.n, sizeof entry->session - 1));
	pthread_mutex_lock(&capabilities->lock);
	bool added = map_add(capabilities->entries, key_of(entry->hash), entry);
	pthread_mutex_unlock(&capabilities->lock);
	if (!added) {
		free(entry);
		return fail(err, ERR_UNAVAILABLE, "%d sessions run already; end some", GATEWAY_CAPABILITIES_MAX);
	}
	memcpy(ret, text.p, GATEWAY_CAPABILITY_TEXT);
	ret[GATEWAY_CAPABILITY_TEXT] = '\0';
	return 0;
}

bool gateway_capabilities_find(struct gateway_capabilities *capabilities, struct str text,
			       char ret_session[GATEWAY_SESSION_SIZE])
{
	unsigned char hash[SHA256_SIZE];
	if (text.n != GATEWAY_CAPABILITY_TEXT)
		return false;
	/* How long the look-up takes tells something of a hash alone, and of a random text nobody can choose that. */
	sha256(text, hash);
	pthread_mutex_lock(&capabilities->lock);
	const struct entry *entry = map_get(capabilities->entries, key_of(hash));
	bool found = entry != NULL && constant_time_eq(key_of(entry->hash), key_of(hash));
	if (found)
		memcpy(ret_session, entry->session, GATEWAY_SESSION_SIZE);
	pthread_mutex_unlock(&capabilities->lock);
	return found;
}

bool gateway_capabilities_end(struct gateway_capabilities *capabilities, struct str session)
{
	bool any = false;
	pthread_mutex_lock(&capabilities->lock);
	struct map_iter it = {0};
	while (map_next(capabilities->entries, &it)) {
		struct entry *entry = it.value;
		if (!str_eq(str_from(entry->session), session))
			continue;
		free(map_remove(capabilities->entries, it.key));
		any = true;
	}
	pthread_mutex_unlock(&capabilities->lock);
	return any;
}
