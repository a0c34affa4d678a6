/*
 * registration: an agent program's file, and the token that its entry stands for
 *
 * The token lies in "run/agents/ID" of the state folder (0600, the folders 0700), where aileron-guest reads it; the file of
 * the agent program has the id alone. A file is changed as a whole: the bytes are on disk before the name is given, mode and owner
 * stay, a link is followed to what it names, and what was there before the first change lies beside it under
 * "….before-aileron", which is never written over.
 */
#pragma once
#include "cli/cli.h"
#include "crypto/secret.h"
#include "launch/program.h"

/* A token of an agent, made by the daemon and written to its file. `program` "" and `session` "" = none. */
struct registration_request {
	const char *name, *kind, *program;
	struct str session;
};
int registration_make(struct cli *cli, const struct registration_request *request, char ret_id[PROGRAM_ID_SIZE],
		      struct err *err) __attribute__((warn_unused_result));
/* Undone: its token is revoked and the file goes. What cannot be is said as a note. */
void registration_undo(struct cli *cli, const char *id);
/* The token's file alone. */
void registration_forget(struct cli *cli, const char *id);
/* Files of tokens that are revoked go: what a kill left behind. */
int registration_sweep(struct cli *cli, struct err *err) __attribute__((warn_unused_result));
/* Whether the daemon takes the agent's token, and its file is there. */
int registration_is_valid(struct cli *cli, const char *id, bool *ret, struct err *err)
	__attribute__((warn_unused_result));

/* How the guest is started for that id; strings live as long as the cli. */
int registration_guest(struct cli *cli, struct str id, struct program_guest *ret, struct err *err)
	__attribute__((warn_unused_result));

/* A person's file as it was read. */
struct person_file {
	struct str path; /* links followed */
	struct buf text;
	bool exists;
	bool linked; /* its name is a link */
	bool ours;   /* has our entry already, as its caller finds */
};
void person_file_release(struct person_file *file);
#define AUTO_PERSON_FILE __attribute__((cleanup(person_file_release))) struct person_file
int person_file_read(struct cli *cli, struct str path, struct person_file *ret, struct err *err)
	__attribute__((warn_unused_result));
/* What was there before our first change; it does not exist when nothing was, or somebody has removed it. */
int person_file_before(struct cli *cli, const struct person_file *file, struct person_file *ret, struct err *err)
	__attribute__((warn_unused_result));
/*
 * CONFLICT when it is not what was read any more. *ret_backup: where the text lies that was there before our
 * first change; "" when there was none. Lives as long as the cli.
 */
int person_file_write(struct cli *cli, const struct person_file *file, struct str text, struct str *ret_backup,
		      struct err *err) __attribute__((warn_unused_result));
/* CONFLICT likewise: what another program gives its name to meanwhile stays. */
int person_file_remove(const struct person_file *file, struct err *err) __attribute__((warn_unused_result));
