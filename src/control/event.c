#include "control/event.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdlib.h>

void event_begin(struct event *event, struct audit_event who)
{
	*event = (struct event){.audit = who, .payload = BUF_INIT(EVENT_PAYLOAD_MAX)};
	jsonw_init(&event->json, &event->payload, JSON_WRITER_PLAIN);
	jsonw_begin_object(&event->json);
}

void event_release(struct event *event)
{
	buf_release(&event->payload);
}

int event_end(struct event *event, struct err *err)
{
	jsonw_end_object(&event->json);
	if (buf_check(&event->payload, "the event of this", err) < 0)
		return -1;
	event->audit.payload_text = buf_str(&event->payload);
	return 0;
}

int event_append(struct db_tx *tx, const struct event *event, struct err *err)
{
	return audit_append(tx, &event->audit, NULL, NULL, err);
}

/* ---------------------------------------------------------------------------------------------------------------- later */

struct later {
	struct audit_event audit;
	struct buf payload;
	char *actor_id, *credential_binding, *trace_id;
};

static void later_free(struct later *later)
{
	buf_release(&later->payload);
	free(later->actor_id);
	free(later->credential_binding);
	free(later->trace_id);
	free(later);
}

static struct str keep(struct str text, char **ret)
{
	*ret = str_dup(text);
	return (struct str){*ret, text.n};
}

static int do_append(struct db_tx *tx, void *user, struct err *err)
{
	const struct later *later = user;
	return audit_append(tx, &later->audit, NULL, NULL, err);
}

static void appended(void *user, const struct err *err)
{
	struct later *later = user;
	if (err != NULL)
		log_error("event_not_recorded", log_z("type", audit_type_name(later->audit.type)), log_err(err));
	later_free(later);
}

void event_later(struct db *db, struct event *event)
{
	struct err err = {0};
	struct later *later = NEW(struct later);
	int rc = event_end(event, &err);
	later->audit = event->audit;
	later->payload = event->payload;
	event->payload = BUF_INIT(0);
	later->audit.payload_text = buf_str(&later->payload);
	later->audit.actor_id = keep(event->audit.actor_id, &later->actor_id);
	later->audit.credential_binding = keep(event->audit.credential_binding, &later->credential_binding);
	later->audit.trace_id = keep(event->audit.trace_id, &later->trace_id);
	if (rc < 0)
		appended(later, &err);
	else
		db_write_later(db, do_append, later, appended);
}
