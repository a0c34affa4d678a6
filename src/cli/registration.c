#include "cli/registration.h"
#include "daemon/state_dir.h"
#include "os/child.h"
#include "os/file.h"
#include "text/json_members.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#define REQUEST_MAX   ((size_t)64 << 10)
#define BACKUP_SUFFIX ".before-aileron"

/* ------------------------------------------------------------------------------------------------------- token's file */

static char *token_path(const struct cli *cli, const char *id)
{
	return xasprintf("%s/run/agents/%s", cli->state_dir, id);
}

static int write_token(const struct cli *cli, const char *id, struct str token, struct err *err)
{
	AUTO_FREE char *run = state_dir_file(cli->state_dir, "run");
	AUTO_FREE char *agents = state_dir_file(cli->state_dir, "run/agents");
	AUTO_FREE char *path = token_path(cli, id);
	if (file_make_private_folder(run, err) < 0 || file_make_private_folder(agents, err) < 0)
		return -1;
	return file_replace(path, token, 0600, err);
}

void registration_forget(struct cli *cli, const char *id)
{
	AUTO_FREE char *path = token_path(cli, id);
	if (unlink(path) != 0 && errno != ENOENT)
		print_note("cannot remove '%s': %s", path, strerror(errno));
}

/* The token is in what the daemon answered, which is wiped with it as far as the reader of JSON can. */
static int keep_token(struct cli *cli, const struct json *answer, char ret_id[PROGRAM_ID_SIZE], struct err *err)
{
	struct str id = cli_str(answer, "id"), token = cli_str(answer, "token");
	if (id.n != PROGRAM_ID_SIZE - 1 || token.n == 0)
		return fail(err, ERR_PROTOCOL, "the daemon gave no token");
	memcpy(ret_id, id.p, id.n);
	ret_id[id.n] = '\0';
	return write_token(cli, ret_id, token, err);
}

int registration_make(struct cli *cli, const struct registration_request *request, char ret_id[PROGRAM_ID_SIZE],
		      struct err *err)
{
	AUTO_BUF body = BUF_INIT(REQUEST_MAX);
	struct json_writer w;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "name", request->name);
	member_z(&w, "kind", request->kind);
	member_str_given(&w, "program", str_from(request->program));
	member_str_given(&w, "session", request->session);
	jsonw_end_object(&w);
	AUTO(json) *answer = NULL;
	const struct client_request call = {.operation = OP_AGENT_REGISTER, .body = buf_str(&body)};
	char id[PROGRAM_ID_SIZE] = "";
	if (buf_check(&body, "the request", err) < 0 || cli_call(cli, &call, &answer, err) < 0)
		return -1;
	if (keep_token(cli, answer, id, err) < 0) {
		if (id[0] != '\0')
			registration_undo(cli, id);
		return -1;
	}
	memcpy(ret_id, id, sizeof id);
	return 0;
}

void registration_undo(struct cli *cli, const char *id)
{
	static struct err err;
	const struct client_request call = {.operation = OP_AGENT_REVOKE, .parameters = {str_from(id)}};
	err_clear(&err);
	registration_forget(cli, id);
	if (cli_call(cli, &call, NULL, &err) < 0 && err.class != ERR_NOT_FOUND)
		print_note("the token of agent '%s' could not be revoked (%s); run `aileron mcp revoke %s`", id,
			   err.message, id);
}

/* The list is of the newest alone: what is not on it may be valid all the same. */
static const struct json *agent_in(const struct json *list, struct str id)
{
	const struct json *items = json_member(list, S("items"));
	for (size_t i = 0; i < json_length(items); i++) {
		const struct json *agent = json_at(items, i);
		if (str_eq(cli_str(agent, "id"), id))
			return agent;
	}
	return NULL;
}

int registration_is_valid(struct cli *cli, const char *id, bool *ret, struct err *err)
{
	AUTO(json) *list = NULL;
	const struct client_request call = {.operation = OP_AGENT_LIST};
	if (cli_call(cli, &call, &list, err) < 0)
		return -1;
	AUTO_FREE char *path = token_path(cli, id);
	const struct json *agent = agent_in(list, str_from(id));
	*ret = agent != NULL && cli_str(agent, "revoked_at").n == 0 && access(path, R_OK) == 0;
	return 0;
}

int registration_sweep(struct cli *cli, struct err *err)
{
	AUTO(json) *list = NULL;
	const struct client_request call = {.operation = OP_AGENT_LIST};
	if (cli_call(cli, &call, &list, err) < 0)
		return -1;
	AUTO_FREE char *folder = state_dir_file(cli->state_dir, "run/agents");
	DIR *entries = opendir(folder);
	if (entries == NULL)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot read '%s'", folder);
	for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
		const struct json *agent = agent_in(list, str_from(entry->d_name));
		if (agent != NULL && cli_str(agent, "revoked_at").n > 0)
			registration_forget(cli, entry->d_name);
	}
	closedir(entries);
	return 0;
}

int registration_guest(struct cli *cli, struct str id, struct program_guest *ret, struct err *err)
{
	AUTO_FREE char *path = child_own_program("aileron-guest", err);
	if (path == NULL)
		return -1;
	const char *home = getenv("AILERON_HOME");
	*ret = (struct program_guest){
		.path = arena_str(cli->arena, str_from(path)),
		.id = id,
		.state_home = str_from(home),
	};
	return 0;
}

/* ------------------------------------------------------------------------------------------------------- person's file */

void person_file_release(struct person_file *file)
{
	buf_release(&file->text);
}

/* Where the links of a path end; a file that is not there yet is where its name says. */
static struct str follow(struct cli *cli, struct str path)
{
	char resolved[PATH_MAX];
	if (realpath(path.p, resolved) == NULL)
		return path;
	return arena_str(cli->arena, str_from(resolved));
}

static int read_text(const char *path, struct buf *out, bool *ret_exists, struct err *err)
{
	struct stat st;
	*ret_exists = stat(path, &st) == 0;
	if (!*ret_exists)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return fail(err, ERR_VALIDATION_ERROR, "'%s' is no file", path);
	return file_read(path, out, err);
}

int person_file_read(struct cli *cli, struct str path, struct person_file *ret, struct err *err)
{
	struct stat st;
	struct person_file file = {.path = follow(cli, path), .text = BUF_INIT(PROGRAM_FILE_MAX)};
	file.linked = lstat(path.p, &st) == 0 && S_ISLNK(st.st_mode);
	if (read_text(file.path.p, &file.text, &file.exists, err) < 0) {
		person_file_release(&file);
		return -1;
	}
	*ret = file;
	return 0;
}

static struct str backup_path(struct cli *cli, const struct person_file *file)
{
	return arena_printf(cli->arena, "%.*s" BACKUP_SUFFIX, STR_FMT(file->path));
}

int person_file_before(struct cli *cli, const struct person_file *file, struct person_file *ret, struct err *err)
{
	return person_file_read(cli, backup_path(cli, file), ret, err);
}

/* Those that are missing, for the person alone; what is there stays as it is. */
static int make_folders(const char *path, struct err *err)
{
	AUTO_FREE char *copy = xasprintf("%s", path);
	for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			return fail_errno(err, "cannot make the folder '%s'", copy);
		*slash = '/';
	}
	return 0;
}

static const char *last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

static int begin_beside(struct file_draft *draft, const char *path, mode_t mode, struct err *err)
{
	AUTO_FREE char *folder = xasprintf("%.*s", (int)(last_part(path) - path), path);
	return file_draft_begin(draft, folder, mode, err);
}

/* A new file is the person's alone: others' programs keep secrets in theirs. */
static int write_as(const char *path, struct str text, const struct stat *like, struct err *err)
{
	AUTO_DRAFT draft = FILE_DRAFT_INIT;
	mode_t mode = like != NULL ? like->st_mode & 07777 : 0600;
	if (begin_beside(&draft, path, mode, err) < 0 || file_write_fd(draft.fd, path, text, err) < 0)
		return -1;
	if (like != NULL && (like->st_uid != geteuid() || like->st_gid != getegid()) &&
	    fchown(draft.fd, like->st_uid, like->st_gid) != 0)
		return fail_errno(err, "cannot keep the owner of '%s'", path);
	if (fchmod(draft.fd, mode) != 0)
		return fail_errno(err, "cannot keep the mode of '%s'", path);
	return file_draft_commit(&draft, last_part(path), err);
}

static int refuse_changed(const struct person_file *file, struct err *err)
{
	return fail(err, ERR_CONFLICT, "'%s' was changed by another program meanwhile; try again", file->path.p);
}

/* Agent programs write their files while they run. */
static int check_unchanged(const struct person_file *file, struct err *err)
{
	AUTO_BUF now = BUF_INIT(PROGRAM_FILE_MAX);
	bool exists;
	if (read_text(file->path.p, &now, &exists, err) < 0)
		return -1;
	if (exists == file->exists && str_eq(buf_str(&now), buf_str(&file->text)))
		return 0;
	return refuse_changed(file, err);
}

/* The first one that was made stays, and what has our entry is none. 1 there is one, 0 not. */
static int keep_backup(const char *path, const struct person_file *file, const struct stat *like, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) == 0)
		return 1;
	if (errno != ENOENT)
		return fail_errno(err, "cannot look at '%s'", path);
	if (file->ours)
		return 0;
	if (write_as(path, buf_str(&file->text), like, err) < 0)
		return wrap(err, "keeping what was there before");
	return 1;
}

int person_file_write(struct cli *cli, const struct person_file *file, struct str text, struct str *ret_backup,
		      struct err *err)
{
	struct stat st;
	const struct stat *like = NULL;
	struct str backup = STR_EMPTY;
	if (make_folders(file->path.p, err) < 0)
		return -1;
	if (file->exists) {
		backup = backup_path(cli, file);
		if (stat(file->path.p, &st) != 0)
			return fail_errno(err, "cannot look at '%s'", file->path.p);
		like = &st;
		int kept = keep_backup(backup.p, file, like, err);
		if (kept < 0)
			return -1;
		if (kept == 0)
			backup = STR_EMPTY;
	}
	if (check_unchanged(file, err) < 0 || write_as(file->path.p, text, like, err) < 0)
		return -1;
	*ret_backup = backup;
	return 0;
}

static bool is_moved_as_read(const struct file_draft *moved, const struct person_file *file)
{
	AUTO_BUF text = BUF_INIT(PROGRAM_FILE_MAX);
	AUTO_FD fd = openat(moved->folder, moved->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd >= 0 && file_read_fd(fd, file->path.p, &text, NULL) == 0 &&
	       str_eq(buf_str(&text), buf_str(&file->text));
}

/* Where the name is another file's by now, what was moved keeps the one that it got. */
static int put_back(struct file_draft *moved, const struct person_file *file, struct err *err)
{
	const char *name = last_part(file->path.p);
	if (renameat2(moved->folder, moved->name, moved->folder, name, RENAME_NOREPLACE) == 0)
		refuse_changed(file, err);
	else
		fail(err, ERR_CONFLICT,
		     "'%s' was changed by another program meanwhile; what that wrote is in '%s' beside it",
		     file->path.p, moved->name);
	moved->name[0] = '\0';
	return -1;
}

/* Moved aside before it is looked at for the last time: another program may give its name to a new file at any moment. */
int person_file_remove(const struct person_file *file, struct err *err)
{
	AUTO_DRAFT moved = FILE_DRAFT_INIT;
	if (check_unchanged(file, err) < 0 || begin_beside(&moved, file->path.p, 0600, err) < 0)
		return -1;
	if (renameat(moved.folder, last_part(file->path.p), moved.folder, moved.name) != 0)
		return errno == ENOENT ? refuse_changed(file, err)
				       : fail_errno(err, "cannot remove '%s'", file->path.p);
	return is_moved_as_read(&moved, file) ? 0 : put_back(&moved, file, err);
}
