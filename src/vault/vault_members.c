/* Changing who may open the vault. */
#include "crypto/constant_time.h"
#include "vault/vault_private.h"

int vault_change_credential(struct vault *vault, const struct vault_credential *old, const struct vault_credential *new,
			    char ret_member[VAULT_MEMBER_NAME + 1], struct err *err)
{
	struct secret *opened = NULL;
	size_t member = 0;
	if (vault_need_unlocked(vault, err) < 0 || vault_credential_check(new, err) < 0 ||
	    vault_find_member(vault->document, old, &member, &opened, err) < 0)
		return -1;
	AUTO(secret) *private = opened;
	AUTO(vault_document) *next = vault_change_begin(vault);
	if (vault_member_reseal(next->arena, next->id, &next->members[member], &vault->cost, new, private, err) < 0)
		return -1;
	if (vault_change_commit(vault, next, vault->keys, err) < 0)
		return -1;
	if (ret_member != NULL)
		vault_name_member(vault, member, ret_member);
	return 0;
}

/*
 * Whether a member would unlock the file as it is: who would not, because a stranger set its key, notes nothing of it in
 * passing. The file is verified under the key of who unlocked it, so that key has to be the member's too.
 */
static bool would_unlock(const struct vault *vault, size_t member, const struct secret *private)
{
	const struct vault_member *who = &vault->document->members[member];
	AUTO(vault_keys) *keys = vault_member_take_key(who, vault->document->id, private, NULL);
	return keys != NULL && constant_time_eq(vault_keys_root(keys), vault_keys_root(vault->keys)) &&
	       vault_member_knows(who, keys, private) != VAULT_FROM_STRANGER;
}

/* Two have seen the new member: the one who unlocked the vault, and the one who says now that it may come. */
static void note_for_both(const struct vault *vault, struct vault_document *next, size_t prover,
			  const struct secret *private)
{
	vault_member_note(next->arena, vault->keys, vault->private, &next->members[vault->me], next->members,
			  next->n_members);
	if (prover != vault->me && would_unlock(vault, prover, private))
		vault_member_note(next->arena, vault->keys, private, &next->members[prover], next->members,
				  next->n_members);
}

static int check_name(const struct vault *vault, struct str name, struct err *err)
{
	if (name.n > VAULT_MEMBER_NAME || !vault_identity_is_valid(name))
		return fail(err, ERR_INVALID_IDENTITY,
			    "'%.*s' is no name of a member: lower-case letters, digits, and . _ - after the first",
			    STR_FMT(name));
	for (size_t i = 0; i < vault->document->n_members; i++) {
		if (str_eq(vault->document->members[i].name, name))
			return fail(err, ERR_CONFLICT, "the vault has a member '%.*s' already", STR_FMT(name));
	}
	if (vault->document->n_members == VAULT_MEMBERS_MAX)
		return fail(err, ERR_LIMIT, "the vault has %d members, and cannot have more", VAULT_MEMBERS_MAX);
	return 0;
}

int vault_member_add(struct vault *vault, struct str name, const struct vault_credential *present,
		     const struct vault_credential *credential, struct err *err)
{
	struct secret *opened = NULL;
	size_t prover = 0;
	if (vault_need_unlocked(vault, err) < 0 ||
	    vault_find_member(vault->document, present, &prover, &opened, err) < 0)
		return -1;
	AUTO(secret) *provers = opened;
	if (check_name(vault, name, err) < 0)
		return -1;
	struct vault_member_spec spec = {
		.name = name,
		.created_at = clock_wall_ns(vault->clock) / TIME_SECOND,
		.cost = vault->cost,
	};
	AUTO(vault_document) *next = vault_change_begin(vault);
	struct vault_member *member = &next->members[next->n_members];
	struct secret *made = NULL;
	if (vault_member_make(next->arena, next->id, &spec, credential, member, &made, err) < 0)
		return -1;
	AUTO(secret) *private = made;
	if (vault_member_give_key(next->arena, vault->keys, vault->private, member, err) < 0)
		return -1;
	next->n_members++;
	vault_member_note(next->arena, vault->keys, private, member, next->members, next->n_members);
	note_for_both(vault, next, prover, provers);
	return vault_change_commit(vault, next, vault->keys, err);
}

int vault_reseal_values(struct vault_document *document, const struct vault_keys *keys, const struct vault_keys *to,
			uint64_t generation, struct err *err)
{
	AUTO(secret) *plain = secret_new_locked(VAULT_VALUE_MAX, err);
	if (plain == NULL)
		return -1;
	for (size_t i = 0; i < document->n_entries; i++) {
		struct vault_entry *entry = &document->entries[i];
		if (!vault_keys_open_value(keys, entry->path, entry->generation, entry->value,
					   secret_borrow_mut(plain)))
			return fail(err, ERR_VAULT_VALUE_TAMPERED, "the value of '%.*s' is not what was sealed",
				    STR_FMT(entry->path));
		AUTO_BUF sealed = BUF_INIT(VAULT_VALUE_MAX + VAULT_OVERHEAD);
		entry->generation = generation;
		vault_keys_seal_value(to, entry->path, generation,
				      str_slice(secret_borrow(plain), 0, entry->value.n - VAULT_OVERHEAD), &sealed);
		entry->value = arena_str(document->arena, buf_str(&sealed));
	}
	return 0;
}

/* Who goes, and who of those that stay makes the new key. */
struct removal {
	size_t leaving, staying;
	struct secret *private; /* of the one that stays */
};

static int find_both(const struct vault *vault, struct str name, const struct vault_credential *staying,
		     struct removal *ret, struct err *err)
{
	const struct vault_document *document = vault->document;
	size_t leaving = 0;
	while (leaving < document->n_members && !str_eq(document->members[leaving].name, name))
		leaving++;
	if (leaving == document->n_members)
		return fail(err, ERR_NOT_FOUND, "the vault has no member '%.*s'", STR_FMT(name));
	struct removal found = {.leaving = leaving};
	if (vault_find_member(document, staying, &found.staying, &found.private, err) < 0)
		return -1;
	if (found.staying == leaving) {
		secret_free(found.private);
		return fail(err, ERR_INVALID_REQUEST,
			    "member '%.*s' cannot remove itself; another member's passphrase or key file is needed",
			    STR_FMT(name));
	}
	*ret = found;
	return 0;
}

static int seal_to_all(const struct vault *vault, struct vault_document *next, const struct removal *who,
		       const struct vault_keys *keys, struct err *err)
{
	for (size_t i = 0; i < next->n_members; i++) {
		if (vault_member_give_key(next->arena, keys, who->private, &next->members[i], err) < 0)
			return -1;
	}
	/* Two may be at hand: the one who does this, and the one who unlocked the vault. */
	size_t staying = who->staying - (who->staying > who->leaving);
	vault_member_note(next->arena, keys, who->private, &next->members[staying], next->members, next->n_members);
	size_t me = vault->me - (vault->me > who->leaving);
	if (vault->me != who->leaving && me != staying)
		vault_member_note(next->arena, keys, vault->private, &next->members[me], next->members,
				  next->n_members);
	return 0;
}

int vault_member_remove(struct vault *vault, struct str name, const struct vault_credential *staying, struct err *err)
{
	struct removal who = {0};
	if (vault_need_unlocked(vault, err) < 0 || find_both(vault, name, staying, &who, err) < 0)
		return -1;
	AUTO(secret) *private = who.private;
	AUTO(vault_document) *next = vault_change_begin(vault);
	AUTO(vault_keys) *keys = vault_keys_generate(next->id, err);
	if (keys == NULL)
		return -1;
	next->n_members--;
	memmove(&next->members[who.leaving], &next->members[who.leaving + 1],
		(next->n_members - who.leaving) * sizeof next->members[0]);
	if (seal_to_all(vault, next, &who, keys, err) < 0 ||
	    vault_reseal_values(next, vault->keys, keys, next->generation, err) < 0 ||
	    vault_change_commit(vault, next, keys, err) < 0)
		return -1;
	vault_keys_free(vault->keys);
	vault->keys = TAKE(keys);
	if (vault->me == who.leaving) {
		secret_free(vault->private);
		vault->private = TAKE(private);
		vault->me = who.staying;
	}
	vault->me -= vault->me > who.leaving;
	return 0;
}
