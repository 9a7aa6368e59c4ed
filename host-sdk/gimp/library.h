/* Commands on the library of subjects and on models, and what is in their answers. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <json-glib/json-glib.h>

#include "engine.h"

/* Does a command (JSON, see host-sdk/README.md) and gives its answer, an object; unref it with json_node_unref(). NULL and an
 * error if that failed. It waits for the disk; any thread may call it while the engine is open. */
JsonNode *library_ask(ReposeEngine *engine, const char *command, GError **error);

/* Members of an object; "", 0, FALSE or NULL if there is none of that kind. `object` may be NULL. */
const char *library_text(JsonObject *object, const char *name);
gint64 library_number(JsonObject *object, const char *name);
gboolean library_flag(JsonObject *object, const char *name);
JsonObject *library_object(JsonObject *object, const char *name);
JsonArray *library_list(JsonObject *object, const char *name);
/* The object at a place of a list, or NULL. */
JsonObject *library_item(JsonArray *list, guint index);

#endif
