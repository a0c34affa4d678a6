/*
 * vault_member: who may open a vault, and how each gets its key
 *
 * docs/formats/vault.md, "Members". A member is an X25519 key pair. The private key is sealed under what the member alone
 * has (a passphrase, a key file); the vault key is sealed between the member who set it and each other one, so that a
 * member can set a new one for all and nobody else can. Each member notes, under a key of its own, which vault key and
 * which members it has seen: a key from somebody whom it does not know is told from one that a member set.
 *
 * Bytes of a member lie in the arena that it was made in. One thread.
 */
#pragma once
#include "base/arena.h"
#include "crypto/x25519.h"
#include "vault/vault_file.h"
#include "vault/vault_keys.h"

#define VAULT_SALT           16
#define VAULT_PRIVATE_SEALED (AEAD_NONCE + X25519_SIZE + AEAD_TAG)
#define VAULT_KEY_SALT       32
#define VAULT_KEY_SEALED     (VAULT_KEY_SALT + VAULT_KEY + AEAD_TAG)

struct vault_member {
	struct str name;
	enum vault_member_kind kind;
	uint64_t created_at;     /* Unix seconds */
	struct argon2_cost cost; /* of a passphrase; else 0 */
	struct str salt;         /* VAULT_SALT */
	struct str public_key;   /* X25519_SIZE */
	struct str private_key;  /* VAULT_PRIVATE_SEALED */
	struct str vault_key;    /* VAULT_KEY_SEALED */
	struct str sealed_by;    /* public key of who set the vault key */
	struct str known;        /* public keys that it has seen, one after the other */
	struct str known_mac;    /* VAULT_MAC, over them */
	struct str key_mac;      /* VAULT_MAC, over the vault key that it has seen */
};

/* VALIDATION_ERROR for an empty passphrase or a key file that is not VAULT_KEY_FILE bytes. */
int vault_credential_check(const struct vault_credential *credential, struct err *err)
	__attribute__((warn_unused_result));

/* A new one without a vault key yet, and its private key in locked memory. `name` is copied. */
struct vault_member_spec {
	struct str name;
	uint64_t created_at;
	struct argon2_cost cost;
};
int vault_member_make(struct arena *arena, const unsigned char id[VAULT_ID], const struct vault_member_spec *spec,
		      const struct vault_credential *credential, struct vault_member *ret, struct secret **ret_private,
		      struct err *err) __attribute__((warn_unused_result));
/* Seals the private key under another credential. */
int vault_member_reseal(struct arena *arena, const unsigned char id[VAULT_ID], struct vault_member *member,
			const struct argon2_cost *cost, const struct vault_credential *credential,
			const struct secret *private, struct err *err) __attribute__((warn_unused_result));
/* 1 with the private key, 0 when the credential is not this member's, -1. Derives a key: slow for a passphrase. */
int vault_member_open(const struct vault_member *member, const unsigned char id[VAULT_ID],
		      const struct vault_credential *credential, struct secret **ret_private, struct err *err)
	__attribute__((warn_unused_result));

/* Seals the vault key from the member whose private key is `sender` to `member`. */
int vault_member_give_key(struct arena *arena, const struct vault_keys *keys, const struct secret *sender,
			  struct vault_member *member, struct err *err) __attribute__((warn_unused_result));
/* The keys of the vault; VAULT_FILE_TAMPERED when what was sealed does not open. */
struct vault_keys *vault_member_take_key(const struct vault_member *member, const unsigned char id[VAULT_ID],
					 const struct secret *private, struct err *err)
	__attribute__((warn_unused_result));

/* Notes that the member has seen this vault key and these members. */
void vault_member_note(struct arena *arena, const struct vault_keys *keys, const struct secret *private,
		       struct vault_member *member, const struct vault_member *members, size_t n);
/* The vault key is the one that it has noted, or was set by somebody that it has noted, or neither. */
enum vault_acquaintance { VAULT_SEEN, VAULT_FROM_KNOWN, VAULT_FROM_STRANGER };
enum vault_acquaintance vault_member_knows(const struct vault_member *member, const struct vault_keys *keys,
					   const struct secret *private);
/* Whether its note names exactly these members. */
bool vault_member_is_current(const struct vault_member *member, const struct vault_member *members, size_t n);
