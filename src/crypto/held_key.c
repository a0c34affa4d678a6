#include "crypto/held_key.h"
#include "base/mem.h"
#include "crypto/hmac.h"
#include "crypto/sign.h"

struct held_key {
	const struct secret *secret;
	/* Made when it first signs that way, and kept: */
	struct secret *aws4;      /* "AWS4" and the secret, which together begin AWS's chain of keys */
	struct sign_key *ed25519; /* the key parsed */
};

struct held_key *held_key_new(const struct secret *secret)
{
	struct held_key *held_key = NEW(struct held_key);
	held_key->secret = secret;
	return held_key;
}

void held_key_free(struct held_key *held_key)
{
	if (held_key == NULL)
		return;
	secret_free(held_key->aws4);
	sign_key_free(held_key->ed25519);
	free(held_key);
}

static int need_aws4(struct held_key *held_key, struct err *err)
{
	if (held_key->aws4 != NULL)
		return 0;
	struct str key = secret_borrow(held_key->secret);
	struct secret *aws4 = secret_new(key.n + 4, err);
	if (aws4 == NULL)
		return -1;
	char *bytes = secret_borrow_mut(aws4);
	memcpy(bytes, "AWS4", 4);
	memcpy(bytes + 4, key.p, key.n);
	held_key->aws4 = aws4;
	return 0;
}

int held_key_aws_sigv4(struct held_key *held_key, const struct sigv4_scope *scope, struct str to_sign,
		       unsigned char ret_mac[SHA256_SIZE], struct err *err)
{
	if (need_aws4(held_key, err) < 0)
		return -1;
	const struct str links[] = {str_from(scope->day), scope->region, scope->service, S("aws4_request")};
	unsigned char key[SHA256_SIZE], next[SHA256_SIZE];
	hmac_sha256(secret_borrow(held_key->aws4), links[0], key);
	for (size_t i = 1; i < ARRAY_LEN(links); i++) {
		hmac_sha256(str_of(key, sizeof key), links[i], next);
		memcpy(key, next, sizeof key);
	}
	hmac_sha256(str_of(key, sizeof key), to_sign, ret_mac);
	mem_wipe(key, sizeof key);
	mem_wipe(next, sizeof next);
	return 0;
}

static int sign_ed25519(struct held_key *held_key, struct str bytes, unsigned char ret_signature[SIGNATURE_MAX],
			struct err *err)
{
	if (held_key->ed25519 == NULL)
		held_key->ed25519 = sign_key_new(held_key->secret, err);
	if (held_key->ed25519 == NULL)
		return fail(
			err, ERR_BINDING_FAILED,
			"the bound signing key is no Ed25519 private key (32 bytes, or PKCS#8 in PEM); bind it again");
	sign_message(held_key->ed25519, bytes, ret_signature);
	return 0;
}

int held_key_sign(struct held_key *held_key, enum signing_algorithm algorithm, struct str bytes,
		  unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_n, struct err *err)
{
	if (algorithm == SIGNING_ED25519) {
		if (sign_ed25519(held_key, bytes, ret_signature, err) < 0)
			return -1;
		*ret_n = ED25519_SIGNATURE_SIZE;
		return 0;
	}
	hmac_sha256(secret_borrow(held_key->secret), bytes, ret_signature);
	*ret_n = SHA256_SIZE;
	return 0;
}
