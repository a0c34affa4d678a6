#include "egress/gate.h"

/* What a guest wrote goes into details up to here: enough to recognise it, and room for what else they say. */
enum { REQUESTED_SHOWN = 2048 };

static struct str shown(struct str requested)
{
	return str_slice(requested, 0, REQUESTED_SHOWN);
}

bool gate_split(struct str entry, struct str *ret_host, uint16_t *ret_port)
{
	size_t colon = str_find_last_char(entry, ':');
	if (colon == STR_NPOS)
		return false;
	struct str host = str_slice(entry, 0, colon);
	uint64_t port;
	if (!str_to_u64(str_slice(entry, colon + 1, entry.n), UINT16_MAX, &port) || port == 0)
		return false;
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_slice(host, 1, host.n - 1);
	else if (str_find_char(host, ':') != STR_NPOS)
		return false;
	if (host.n == 0 || str_find_char(host, '[') != STR_NPOS || str_find_char(host, ']') != STR_NPOS)
		return false;
	*ret_host = host;
	*ret_port = (uint16_t)port;
	return true;
}

static bool listed(const struct str *entries, size_t n, const struct url *url)
{
	for (size_t i = 0; i < n; i++) {
		struct str host;
		uint16_t port;
		if (gate_split(entries[i], &host, &port) && port == url->port && str_eq_fold(host, url->host))
			return true;
	}
	return false;
}

/* "network:host:port" for each entry; the host in lower case, an entry that does not split as it is. */
static const struct str *network_names(struct arena *arena, const struct str *entries, size_t n)
{
	struct str *names = arena_array(arena, n > 0 ? n : 1, sizeof *names);
	for (size_t i = 0; i < n; i++) {
		struct str host;
		uint16_t port;
		bool splits = gate_split(entries[i], &host, &port);
		size_t prefix = sizeof "network:" - 1;
		size_t room = prefix + entries[i].n;
		char *name = arena_alloc(arena, room);
		memcpy(name, "network:", prefix);
		for (size_t at = 0; at < entries[i].n; at++) {
			char c = entries[i].p[at];
			name[prefix + at] = (char)(splits && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
		}
		names[i] = str_of(name, room);
	}
	return names;
}

static int refuse_scheme(const struct url *url, struct str requested, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED, "scheme '%.*s' is not granted: only http and https are", STR_FMT(url->scheme));
	err_detail(err, "requested", shown(requested));
	err_detail(err, "scheme", url->scheme);
	err_detail(err, "rule", S("scheme"));
	return -1;
}

static int refuse_without_host(struct str requested, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED, "the URL names no host");
	err_detail(err, "requested", shown(requested));
	err_detail(err, "rule", S("host_missing"));
	return -1;
}

static int refuse_unlisted(struct arena *arena, const struct egress_grant *grant, struct str authority, struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED,
	     "'%.*s' is not among the hosts of the manifest's [capabilities.network]; list it there to reach it",
	     STR_FMT(authority));
	err_detail(err, "requested", arena_printf(arena, "network:%.*s", STR_FMT(authority)));
	err_detail_list(err, "granted", network_names(arena, grant->hosts, grant->n_hosts), grant->n_hosts);
	err_detail(err, "rule", S("not_listed"));
	return -1;
}

static int refuse_outside_subset(struct arena *arena, const struct egress_grant *grant, struct str authority,
				 struct err *err)
{
	fail(err, ERR_CAPABILITY_DENIED, "http_request: '%.*s' is not among the hosts that the action allows",
	     STR_FMT(authority));
	err_detail(err, "requested", arena_printf(arena, "network:%.*s", STR_FMT(authority)));
	err_detail_list(err, "action_subset", network_names(arena, grant->subset, grant->n_subset), grant->n_subset);
	err_detail(err, "boundary_detail", S("action"));
	err_detail(err, "rule", S("subset"));
	return -1;
}

static int judge(struct arena *arena, const struct egress_grant *grant, const struct url *url, struct str requested,
		 struct err *err)
{
	if (!str_eq(url->scheme, S("http")) && !str_eq(url->scheme, S("https")))
		return refuse_scheme(url, requested, err);
	if (url->host.n == 0)
		return refuse_without_host(requested, err);
	if (!grant->permissive && !listed(grant->hosts, grant->n_hosts, url))
		return refuse_unlisted(arena, grant, url_authority(arena, url), err);
	if (grant->n_subset > 0 && !listed(grant->subset, grant->n_subset, url))
		return refuse_outside_subset(arena, grant, url_authority(arena, url), err);
	return 0;
}

/* `err` says why the text is no URL; it becomes the reason of a refusal. */
static int refuse_unparsed(struct arena *arena, struct str raw, struct err *err)
{
	if (err == NULL)
		return -1;
	struct str reason = arena_str(arena, str_from(err->message));
	fail(err, ERR_CAPABILITY_DENIED, "the URL does not parse: %.*s", STR_FMT(reason));
	err_detail(err, "requested", shown(raw));
	err_detail(err, "reason", reason);
	err_detail(err, "rule", S("url"));
	return -1;
}

int gate_url(struct arena *arena, const struct egress_grant *grant, struct str raw, struct url *ret, struct err *err)
{
	struct url url;
	if (url_parse(arena, raw, &url, err) < 0)
		return refuse_unparsed(arena, raw, err);
	if (judge(arena, grant, &url, raw, err) < 0)
		return -1;
	*ret = url;
	return 0;
}

int gate_redirect(struct arena *arena, const struct egress_grant *grant, const struct url *base, struct str reference,
		  struct url *ret, struct err *err)
{
	struct url url;
	if (url_resolve(arena, base, reference, &url, err) < 0)
		return refuse_unparsed(arena, reference, err);
	if (gate_check(arena, grant, &url, err) < 0)
		return -1;
	*ret = url;
	return 0;
}

int gate_check(struct arena *arena, const struct egress_grant *grant, const struct url *url, struct err *err)
{
	return judge(arena, grant, url, url_text(arena, url), err);
}
