/* Pins as text, in the command line's own form: FROM_X,FROM_Y[:TO_X,TO_Y][@ANGLE][^DEPTH]. */
#ifndef PINS_H
#define PINS_H

#include <glib.h>

#include "repose.h"

/* Pins that one pose may have; the contract's limit. */
#define PINS_MOST 1000
/* No coordinate, angle or depth may be larger. */
#define PINS_FAR 1e7

/* Reads pins separated by spaces, line ends or semicolons. NULL or blank text gives none. An array of ReposePin, or NULL
 * and an error that names the pin. */
GArray *pins_parse(const char *text, GError **error);

/* The same as text, one pin a line. Free with g_free(). */
char *pins_text(const ReposePin *pins, guint count);

#endif
