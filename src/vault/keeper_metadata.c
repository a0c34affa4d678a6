#include "vault/keeper_metadata.h"
#include "text/canonical.h"
#include "text/json.h"
#include "text/json_writer.h"

#define METADATA_MAX ((size_t)64 << 10)

static int read_labels(struct arena *arena, const struct json *object, struct keeper_labels *ret, struct err *err)
{
	if (json_length(object) > VAULT_LABELS_MAX)
		return fail(err, ERR_LIMIT, "an entry has more than %d labels", VAULT_LABELS_MAX);
	struct json_iter it;
	for (json_iter_init(&it, object); json_iter_next(&it);) {
		struct str value;
		if (!json_get_str(it.value, &value))
			return fail(err, ERR_VALIDATION_ERROR, "label '%.*s' is no text", STR_FMT(it.name));
		ret->items[ret->n++] = (struct vault_label){arena_str(arena, it.name), arena_str(arena, value)};
	}
	return 0;
}

int keeper_metadata_read(struct arena *arena, struct str text, struct keeper_metadata *ret, struct err *err)
{
	if (text.n > METADATA_MAX || !json_is_canonical(text))
		return fail(err, ERR_VALIDATION_ERROR,
			    "the metadata of an entry is not canonical JSON of at most %zu bytes", METADATA_MAX);
	AUTO(json) *json = json_parse(text, JSON_READ_STRICT, err);
	if (json == NULL)
		return -1;
	struct str environment, type;
	const struct json *labels = json_member(json, S("labels"));
	if (json_length(json) != 3 || !json_get_str(json_member(json, S("environment")), &environment) ||
	    !json_get_str(json_member(json, S("type")), &type) || json_kind(labels) != JSON_KIND_OBJECT)
		return fail(err, ERR_VALIDATION_ERROR,
			    "the metadata of an entry is not exactly 'environment', 'labels' and 'type'");
	ret->labels.n = 0;
	if (read_labels(arena, labels, &ret->labels, err) != 0)
		return -1;
	ret->type = arena_str(arena, type);
	ret->environment = arena_str(arena, environment);
	return 0;
}

void keeper_labels_put(struct buf *out, const struct vault_entry *entry)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	for (size_t i = 0; i < entry->n_labels; i++) {
		jsonw_key(&w, entry->labels[i].key);
		jsonw_str(&w, entry->labels[i].value);
	}
	jsonw_end_object(&w);
}

static struct vault_label *find(struct keeper_labels *labels, struct str key)
{
	for (size_t i = 0; i < labels->n; i++) {
		if (str_eq(labels->items[i].key, key))
			return &labels->items[i];
	}
	return NULL;
}

struct str keeper_label_of(const struct keeper_labels *labels, struct str key)
{
	for (size_t i = 0; i < labels->n; i++) {
		if (str_eq(labels->items[i].key, key))
			return labels->items[i].value;
	}
	return STR_EMPTY;
}

void keeper_label(struct keeper_labels *labels, struct str key, struct str value)
{
	struct vault_label *there = find(labels, key);
	if (there != NULL)
		there->value = value;
	else if (labels->n < ARRAY_LEN(labels->items))
		labels->items[labels->n++] = (struct vault_label){key, value};
	else
		BUG("no room for label '%.*s'", STR_FMT(key));
}

void keeper_labels_keep(struct keeper_labels *labels, const struct vault_entry *entry)
{
	static const struct str of_the_value[] = {
		{"status", 6},
		{"stale_reason", 12},
		{"missing_scopes", 14},
		{"granted_scopes", 14},
		{"last_refreshed_at", 17},
		{"refresh_started_at", 18},
		{"refresh_token_present", 21},
	};
	for (size_t i = 0; i < entry->n_labels; i++) {
		bool kept = find(labels, entry->labels[i].key) == NULL;
		for (size_t k = 0; k < ARRAY_LEN(of_the_value); k++)
			kept = kept && !str_eq(of_the_value[k], entry->labels[i].key);
		/* More than a vault takes is for the vault to refuse. */
		if (kept && labels->n < VAULT_LABELS_MAX)
			labels->items[labels->n++] = entry->labels[i];
	}
}
