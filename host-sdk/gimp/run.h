/* Runs a procedure, after either GIMP has handed its arguments over. */
#ifndef RUN_H
#define RUN_H

#include "procedures.h"

typedef enum RunEnd { RUN_DONE, RUN_CANCELLED, RUN_FAILED } RunEnd;

/* Does the work on `drawable`. With `dialog`, asks the user first; `settings` then holds what was chosen. `layers` gets the
 * numbers of new layers (gint32), bottom first. On RUN_FAILED the error is set. */
RunEnd run(Work work, gint32 image, gint32 drawable, gboolean dialog, Settings *settings, GArray *layers, GError **error);

#endif
