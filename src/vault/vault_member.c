#include "vault/vault_member.h"
#include "base/rand.h"
#include "crypto/constant_time.h"
#include "crypto/hmac.h"
#include "text/wire.h"

#define PRIVATE_DOMAIN  S("aileron-vault-2 private key")
#define KEY_FILE_DOMAIN S("aileron-vault-2 key file")
#define SEAL_DOMAIN     S("aileron-vault-2 vault key")
#define NOTES_DOMAIN    S("aileron-vault-2 notes")
#define KNOWN_DOMAIN    S("aileron-vault-2 known members")
#define SEEN_DOMAIN     S("aileron-vault-2 seen vault key")

static const char *const kind_names[VAULT_MEMBER_KIND__MAX] = {"passphrase", "key_file"};

const char *vault_member_kind_name(enum vault_member_kind kind)
{
	return kind_names[kind];
}

int vault_credential_check(const struct vault_credential *credential, struct err *err)
{
	size_t n = secret_size(credential->secret);
	if (credential->kind == VAULT_MEMBER_PASSPHRASE && n == 0)
		return fail(err, ERR_VALIDATION_ERROR, "the passphrase is empty");
	if (credential->kind == VAULT_MEMBER_KEY_FILE && n != VAULT_KEY_FILE)
		return fail(err, ERR_VALIDATION_ERROR, "the key file has %zu bytes; it must be %d random ones", n,
			    VAULT_KEY_FILE);
	return 0;
}

/* ------------------------------------------------------------------------------------- the private key, under a credential */

/* The key encryption key, in locked memory. */
static struct secret *derive_kek(const struct vault_member *member, const struct vault_credential *credential,
				 struct err *err)
{
	AUTO(secret) *kek = secret_new_locked(AEAD_KEY, err);
	if (kek == NULL)
		return NULL;
	struct str bytes = secret_borrow(credential->secret);
	if (member->kind == VAULT_MEMBER_KEY_FILE)
		hkdf_sha256(bytes, member->salt, KEY_FILE_DOMAIN, secret_borrow_mut(kek), AEAD_KEY);
	else if (argon2id(bytes, member->salt, &member->cost, secret_borrow_mut(kek), err) < 0)
		return NULL;
	return TAKE(kek);
}

/* All that says how the key encryption key was derived, and whose the private key is. */
static void private_aad(struct buf *aad, const unsigned char *id, const struct vault_member *member)
{
	wire_put_str(aad, PRIVATE_DOMAIN);
	buf_add(aad, id, VAULT_ID);
	wire_put_str(aad, member->name);
	wire_put_str(aad, str_from(vault_member_kind_name(member->kind)));
	wire_put_u64(aad, member->created_at);
	wire_put_u32(aad, member->cost.time);
	wire_put_u32(aad, member->cost.memory_kib);
	wire_put_u32(aad, member->cost.lanes);
	wire_put_str(aad, member->salt);
	wire_put_str(aad, member->public_key);
	if (!buf_ok(aad))
		BUG("a member with a name of %zu bytes", member->name.n);
}

int vault_member_reseal(struct arena *arena, const unsigned char id[VAULT_ID], struct vault_member *member,
			const struct argon2_cost *cost, const struct vault_credential *credential,
			const struct secret *private, struct err *err)
{
	if (vault_credential_check(credential, err) < 0)
		return -1;
	struct vault_member made = *member;
	unsigned char salt[VAULT_SALT], sealed[VAULT_PRIVATE_SEALED];
	rand_bytes(salt, sizeof salt);
	rand_bytes(sealed, AEAD_NONCE);
	made.kind = credential->kind;
	made.cost = credential->kind == VAULT_MEMBER_PASSPHRASE ? *cost : (struct argon2_cost){0};
	made.salt = arena_str(arena, str_of(salt, sizeof salt));
	AUTO(secret) *kek = derive_kek(&made, credential, err);
	if (kek == NULL)
		return -1;
	AUTO_BUF aad = BUF_INIT(1024);
	private_aad(&aad, id, &made);
	aead_seal(secret_borrow(kek), sealed, buf_str(&aad), secret_borrow(private), sealed + AEAD_NONCE);
	made.private_key = arena_str(arena, str_of(sealed, sizeof sealed));
	*member = made;
	return 0;
}

int vault_member_make(struct arena *arena, const unsigned char id[VAULT_ID], const struct vault_member_spec *spec,
		      const struct vault_credential *credential, struct vault_member *ret, struct secret **ret_private,
		      struct err *err)
{
	AUTO(secret) *private = secret_new_locked(X25519_SIZE, err);
	if (private == NULL)
		return -1;
	rand_bytes(secret_borrow_mut(private), X25519_SIZE);
	unsigned char public[X25519_SIZE];
	x25519_public(private, public);
	struct vault_member made = {
		.name = arena_str(arena, spec->name),
		.created_at = spec->created_at,
		.public_key = arena_str(arena, str_of(public, sizeof public)),
	};
	if (vault_member_reseal(arena, id, &made, &spec->cost, credential, private, err) < 0)
		return -1;
	*ret = made;
	*ret_private = TAKE(private);
	return 0;
}

int vault_member_open(const struct vault_member *member, const unsigned char id[VAULT_ID],
		      const struct vault_credential *credential, struct secret **ret_private, struct err *err)
{
	if (vault_credential_check(credential, err) < 0)
		return -1;
	if (member->kind != credential->kind)
		return 0;
	AUTO(secret) *kek = derive_kek(member, credential, err);
	AUTO(secret) *private = kek != NULL ? secret_new_locked(X25519_SIZE, err) : NULL;
	if (private == NULL)
		return -1;
	AUTO_BUF aad = BUF_INIT(1024);
	private_aad(&aad, id, member);
	if (!aead_open(secret_borrow(kek), (const unsigned char *)member->private_key.p, buf_str(&aad),
		       str_slice(member->private_key, AEAD_NONCE, VAULT_PRIVATE_SEALED), secret_borrow_mut(private)))
		return 0;
	*ret_private = TAKE(private);
	return 1;
}

/* -------------------------------------------------------------------------------------- the vault key, between two members */

/*
 * X25519 between the static keys of sender and receiver, made fresh by a salt: only these two can compute it, so what opens
 * was sealed by one of them. `key` gets AEAD_KEY and AEAD_NONCE bytes.
 */
static struct secret *seal_key(const struct secret *private, struct str peer, struct str salt, struct err *err)
{
	AUTO(secret) *shared = x25519_shared(private, (const unsigned char *)peer.p, err);
	if (shared == NULL)
		return NULL;
	struct secret *key = secret_new_locked(AEAD_KEY + AEAD_NONCE, err);
	if (key != NULL)
		hkdf_sha256(secret_borrow(shared), salt, SEAL_DOMAIN, secret_borrow_mut(key), AEAD_KEY + AEAD_NONCE);
	return key;
}

static void seal_aad(struct buf *aad, const unsigned char *id, struct str sender, struct str receiver)
{
	wire_put_str(aad, SEAL_DOMAIN);
	buf_add(aad, id, VAULT_ID);
	wire_put_str(aad, sender);
	wire_put_str(aad, receiver);
}

int vault_member_give_key(struct arena *arena, const struct vault_keys *keys, const struct secret *sender,
			  struct vault_member *member, struct err *err)
{
	unsigned char public[X25519_SIZE], sealed[VAULT_KEY_SEALED];
	x25519_public(sender, public);
	rand_bytes(sealed, VAULT_KEY_SALT);
	AUTO(secret) *key = seal_key(sender, member->public_key, str_of(sealed, VAULT_KEY_SALT), err);
	if (key == NULL)
		return wrap(err, "sealing the vault key to '%.*s'", STR_FMT(member->name));
	struct str bytes = secret_borrow(key);
	AUTO_BUF aad = BUF_INIT(1024);
	seal_aad(&aad, vault_keys_id(keys), str_of(public, sizeof public), member->public_key);
	aead_seal(str_slice(bytes, 0, AEAD_KEY), (const unsigned char *)bytes.p + AEAD_KEY, buf_str(&aad),
		  vault_keys_root(keys), sealed + VAULT_KEY_SALT);
	member->vault_key = arena_str(arena, str_of(sealed, sizeof sealed));
	member->sealed_by = arena_str(arena, str_of(public, sizeof public));
	return 0;
}

struct vault_keys *vault_member_take_key(const struct vault_member *member, const unsigned char id[VAULT_ID],
					 const struct secret *private, struct err *err)
{
	AUTO(secret) *vault_key = secret_new_locked(VAULT_KEY, err);
	if (vault_key == NULL)
		return NULL;
	struct str salt = str_slice(member->vault_key, 0, VAULT_KEY_SALT);
	static const char refused[] = "the vault key is not what was sealed to the member";
	AUTO(secret) *key = seal_key(private, member->sealed_by, salt, err);
	if (key == NULL) {
		if (err == NULL || err->class == ERR_VALIDATION_ERROR)
			fail(err, ERR_VAULT_FILE_TAMPERED, "%s '%.*s'", refused, STR_FMT(member->name));
		return NULL;
	}
	struct str bytes = secret_borrow(key);
	AUTO_BUF aad = BUF_INIT(1024);
	seal_aad(&aad, id, member->sealed_by, member->public_key);
	if (!aead_open(str_slice(bytes, 0, AEAD_KEY), (const unsigned char *)bytes.p + AEAD_KEY, buf_str(&aad),
		       str_slice(member->vault_key, VAULT_KEY_SALT, VAULT_KEY_SEALED), secret_borrow_mut(vault_key))) {
		fail(err, ERR_VAULT_FILE_TAMPERED, "%s '%.*s'", refused, STR_FMT(member->name));
		return NULL;
	}
	return vault_keys_new(secret_borrow(vault_key), id, err);
}

/* ----------------------------------------------------------------------------------------------- what a member has seen */

/* Under a key that only this member has: neither the vault key nor a public key is enough to make one. */
static void note_mac(const struct vault_keys *keys, const struct secret *private, struct str domain, struct str what,
		     unsigned char ret[VAULT_MAC])
{
	unsigned char key[AEAD_KEY];
	struct str id = str_of(vault_keys_id(keys), VAULT_ID);
	hkdf_sha256(secret_borrow(private), id, NOTES_DOMAIN, key, sizeof key);
	const struct str parts[] = {domain, id, what};
	hmac_sha256_parts(str_of(key, sizeof key), parts, ARRAY_LEN(parts), ret);
	mem_wipe(key, sizeof key);
}

void vault_member_note(struct arena *arena, const struct vault_keys *keys, const struct secret *private,
		       struct vault_member *member, const struct vault_member *members, size_t n)
{
	unsigned char mac[VAULT_MAC];
	char *known = arena_alloc(arena, n * X25519_SIZE);
	for (size_t i = 0; i < n; i++)
		memcpy(known + i * X25519_SIZE, members[i].public_key.p, X25519_SIZE);
	member->known = str_of(known, n * X25519_SIZE);
	note_mac(keys, private, KNOWN_DOMAIN, member->known, mac);
	member->known_mac = arena_str(arena, str_of(mac, sizeof mac));
	note_mac(keys, private, SEEN_DOMAIN, vault_keys_root(keys), mac);
	member->key_mac = arena_str(arena, str_of(mac, sizeof mac));
}

static bool notes(const struct vault_member *member, struct str public_key)
{
	for (size_t i = 0; i + X25519_SIZE <= member->known.n; i += X25519_SIZE) {
		if (str_eq(str_slice(member->known, i, i + X25519_SIZE), public_key))
			return true;
	}
	return false;
}

enum vault_acquaintance vault_member_knows(const struct vault_member *member, const struct vault_keys *keys,
					   const struct secret *private)
{
	unsigned char mac[VAULT_MAC];
	note_mac(keys, private, SEEN_DOMAIN, vault_keys_root(keys), mac);
	if (constant_time_eq(str_of(mac, sizeof mac), member->key_mac))
		return VAULT_SEEN;
	note_mac(keys, private, KNOWN_DOMAIN, member->known, mac);
	bool authentic = constant_time_eq(str_of(mac, sizeof mac), member->known_mac);
	return authentic && notes(member, member->sealed_by) ? VAULT_FROM_KNOWN : VAULT_FROM_STRANGER;
}

bool vault_member_is_current(const struct vault_member *member, const struct vault_member *members, size_t n)
{
	if (member->known.n != n * X25519_SIZE)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!notes(member, members[i].public_key))
			return false;
	}
	return true;
}
