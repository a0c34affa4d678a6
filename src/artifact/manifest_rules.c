#include "artifact/manifest_rules.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/size.h"
#include "base/time.h"
#include "base/utf8.h"
#include "text/content_hash.h"
#include "text/fqn.h"
#include <stdarg.h>
#include <stdio.h>

static const struct str spawn_forwarder = {"builtin://spawn-forwarder", 25};

/* ---- errors with a place ---- */

const struct toml_value *place(const struct rules *rules, const char *dotted_key)
{
	const struct toml_value *value = rules->manifest->toml;
	struct str rest = str_from(dotted_key);
	while (rest.n > 0) {
		struct str key;
		rest = str_cut(rest, '.', &key);
		const struct toml_value *inner = toml_member(value, key);
		if (inner == NULL)
			break;
		value = inner;
	}
	return value;
}

const struct toml_value *place_element(const struct toml_value *array, size_t index)
{
	struct toml_iter it;
	for (toml_iter_init(&it, array); toml_iter_next(&it); index--) {
		if (index == 0)
			return it.value;
	}
	return array;
}

int broken(const struct rules *rules, const struct toml_value *where, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	failv(rules->err, ERR_VALIDATION_ERROR, fmt, ap);
	va_end(ap);
	return err_at(rules->err, rules->file, where == NULL ? 0 : toml_line(where));
}

int broken_by(const struct rules *rules, const char *dotted_key)
{
	const struct toml_value *where = place(rules, dotted_key);
	wrap(rules->err, "'%s'", dotted_key);
	return err_at(rules->err, rules->file, where == NULL ? 0 : toml_line(where));
}

const char *quoted(struct str value, char ret[QUOTED_SIZE])
{
	struct str shown = utf8_cut(value, 100);
	AUTO_BUF text = BUF_INIT(QUOTED_SIZE - 1);
	escape_visible(&text, shown);
	if (shown.n < value.n)
		buf_add_z(&text, "...");
	memcpy(ret, text.p, text.n + 1);
	return ret;
}

/* ---- [connector] ---- */

static int check_name(const struct rules *rules)
{
	struct fqn fqn;
	if (rules->manifest->name.n == 0)
		return broken(rules, place(rules, "connector.name"),
			      "'connector.name' is required: the full name, as in github://owner/repository");
	if (fqn_parse(rules->manifest->name, &fqn, rules->err) < 0)
		return broken_by(rules, "connector.name");
	return 0;
}

static int check_version(const struct rules *rules)
{
	struct semver version;
	if (rules->manifest->version.n == 0)
		return broken(rules, place(rules, "connector.version"),
			      "'connector.version' is required: a semantic version, as in 1.4.0");
	if (semver_parse(rules->manifest->version, &version, rules->err) < 0)
		return broken_by(rules, "connector.version");
	return 0;
}

static int check_provenance(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	struct str hash = rules->manifest->provenance_hash;
	if (hash.n == 0 || content_hash_is_valid(hash))
		return 0;
	return broken(rules, place(rules, "connector.provenance_hash"),
		      "'connector.provenance_hash' is '%s': a hash is 'sha256:' and 64 lower-case hexadecimal digits",
		      quoted(hash, text));
}

static int check_forwarder(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	struct str forwarder = rules->manifest->forwarder;
	if (forwarder.n == 0)
		return 0;
	const struct toml_value *where = place(rules, "connector.forwarder");
	if (!str_eq(forwarder, spawn_forwarder))
		return broken(rules, where, "'connector.forwarder' is '%s': only '%s' is permitted",
			      quoted(forwarder, text), spawn_forwarder.p);
	if (!rules->manifest->spawn.present)
		return broken(rules, where, "'connector.forwarder' needs a [capabilities.spawn] table");
	return 0;
}

static int check_idempotency(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	struct str idempotency = rules->manifest->idempotency;
	if (!rules->manifest->has_idempotency)
		return 0;
	const struct toml_value *where = place(rules, "connector.idempotency.default");
	if (idempotency.n == 0)
		return broken(rules, where, "'connector.idempotency.default' is required when the table is present");
	if (!str_eq(idempotency, S("idempotent")) && !str_eq(idempotency, S("not_idempotent")))
		return broken(rules, where,
			      "'connector.idempotency.default' is '%s': it must be 'idempotent' or 'not_idempotent'",
			      quoted(idempotency, text));
	return 0;
}

/* ---- [connector.limits], ours ---- */

static int check_memory(const struct rules *rules)
{
	struct str text = rules->manifest->limits.memory;
	if (text.n == 0)
		return 0;
	uint64_t bytes;
	if (size_parse(text, LIMIT_MEMORY_CEILING, &bytes, rules->err) < 0)
		return broken_by(rules, "connector.limits.memory");
	if (bytes == 0)
		return broken(rules, place(rules, "connector.limits.memory"),
			      "'connector.limits.memory' must be positive");
	return 0;
}

static int check_wall_time(const struct rules *rules)
{
	struct str text = rules->manifest->limits.wall_time;
	if (text.n == 0)
		return 0;
	uint64_t ns;
	if (duration_parse(text, LIMIT_WALL_CEILING_MS * TIME_MILLISECOND, &ns, rules->err) < 0)
		return broken_by(rules, "connector.limits.wall_time");
	if (ns < TIME_MILLISECOND)
		return broken(rules, place(rules, "connector.limits.wall_time"),
			      "'connector.limits.wall_time' must be positive, and at least 1ms");
	return 0;
}

/* ---- [capabilities.network] ---- */

static int check_hosts(const struct rules *rules)
{
	char text[QUOTED_SIZE];
	const struct str_list *hosts = &rules->manifest->hosts;
	for (size_t i = 0; i < hosts->n; i++) {
		if (str_find_char(hosts->items[i], ':') != STR_NPOS)
			continue;
		return broken(rules, place_element(place(rules, "capabilities.network.hosts"), i),
			      "'capabilities.network.hosts' entry %zu is '%s': it must contain ':', as in "
			      "api.example.com:443",
			      i + 1, quoted(hosts->items[i], text));
	}
	return 0;
}

/* The order is part of the format (docs/formats/manifest.md): the first broken rule is the one that authors see. */
static int (*const checks[])(const struct rules *rules) = {
	check_name,       check_version, check_provenance,  check_forwarder, check_hosts,
	check_credential, check_spawn,   check_idempotency, check_memory,    check_wall_time,
};

int connector_manifest_validate(const struct connector_manifest *manifest, const char *file, struct err *err)
{
	if (manifest == NULL) {
		fail(err, ERR_VALIDATION_ERROR, "there is no manifest to validate");
		return err_at(err, file, 0);
	}
	struct rules rules = {manifest, file, err};
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (checks[i](&rules) < 0)
			return -1;
	}
	return 0;
}
