/*
 * passphrase: where what unlocks comes from
 *
 * In this order: a key file, a passphrase file (line ends at its end are left out; one that others may read is told),
 * AILERON_VAULT_PASSPHRASE (as it is), a question at the terminal without echo, twice when something is made with it. The variable was moved to secret memory
 * when the program started and is inherited by nobody.
 */
#pragma once
#include "cli/cli.h"
#include "vault/sealed.h"

struct passphrase {
	struct secret *bytes;
	bool key_file;
	bool typed;       /* at the terminal: a wrong one may be corrected */
	const char *made; /* the key file that was made for it; NULL = none. Of the command line */
};
void passphrase_release(struct passphrase *passphrase); /* safe on {0} and twice */
#define AUTO_PASSPHRASE __attribute__((cleanup(passphrase_release))) struct passphrase

struct passphrase_wish {
	const char *file_flag, *key_flag; /* NULL = there is none */
	bool variable;                    /* AILERON_VAULT_PASSPHRASE counts */
	bool made;                        /* it is new: asked twice, and a key file that is not there is made */
	const char *question;             /* "Vault passphrase: " */
};
extern const struct passphrase_wish passphrase_present; /* of a member that is there */
extern const struct passphrase_wish passphrase_first;   /* of a vault that is being made */
extern const struct passphrase_wish passphrase_new;     /* of `passwd` and `member add` */
extern const struct passphrase_wish passphrase_export;  /* of an export that is being made */
extern const struct passphrase_wish passphrase_import;  /* of an export that is there */

/* 1; 0 when there is no source and no terminal; -1: MISSING_PASSPHRASE when it is empty, VALIDATION_ERROR … */
int passphrase_get(struct cli *cli, const struct passphrase_wish *wish, struct passphrase *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The same where there is no other way: MISSING_PASSPHRASE names the sources. */
int passphrase_need(struct cli *cli, const struct passphrase_wish *wish, struct passphrase *ret, struct err *err)
	__attribute__((warn_unused_result));
/* What it was wanted for failed: a key file that was made for it goes, unless the daemon may have taken it all the same. */
void passphrase_unmake(struct passphrase *passphrase, const struct err *failure);
/* As a field of a sealed message, present or new. */
struct sealed_field passphrase_field(const struct passphrase *passphrase);
struct sealed_field passphrase_new_field(const struct passphrase *passphrase);

/* Rows for the flags of verbs. */
#define FLAGS_PASSPHRASE                                                                                               \
	{"passphrase-file", FLAG_FILE, "FILE", false, "take the vault's passphrase from this file"},                   \
	{                                                                                                              \
		"key-file", FLAG_FILE, "FILE", false, "unlock as the member whose key file this is"                    \
	}
