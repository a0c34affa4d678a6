#include "control/page.h"
#include "base/mem.h"
#include "control/answer.h"

static const struct h1_header headers[] = {
	{S("Content-Security-Policy"),
	 S("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src "
	   "'self'; "
	   "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
	   "trusted-types 'none'")},
	{S("Referrer-Policy"), S("no-referrer")},
	{S("Cross-Origin-Opener-Policy"), S("same-origin")},
	{S("Cross-Origin-Resource-Policy"), S("same-origin")},
};

/* As in web/src/app.tsx. */
static const char *const views[] = {"/approvals", "/runs",      "/sessions", "/actions", "/bindings",
				    "/vault",     "/processes", "/audit",    "/doctor"};

static const struct page_file *find_file(struct str path)
{
	for (size_t i = 0; i < ARRAY_LEN(views); i++) {
		if (str_eq(path, str_from(views[i])))
			return page_files;
	}
	const struct page_file *file = page_files;
	while (file->path != NULL && !str_eq(path, str_from(file->path)))
		file++;
	return file->path != NULL ? file : NULL;
}

bool page_answer(struct http_exchange *x)
{
	if (!str_eq(http_method(x), S("GET")))
		return false;
	const struct page_file *file = find_file(http_path(x));
	if (file == NULL)
		return false;
	struct h1_header all[ARRAY_LEN(headers) + 1];
	memcpy(all, headers, sizeof headers);
	all[ARRAY_LEN(headers)] = answer_revision();
	const struct http_answer answer = {
		.status = 200,
		.content_type = str_from(file->content_type),
		.body = file->bytes,
		.headers = all,
		.n_headers = ARRAY_LEN(all),
	};
	http_answer(x, &answer);
	return true;
}
