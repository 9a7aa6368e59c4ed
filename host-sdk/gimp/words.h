/* Marks for texts that users see. The catalogue `repose` is shared with the Krita plug-in. */
#ifndef WORDS_H
#define WORDS_H

#include <libintl.h>

#define _(text) gettext(text)
#define N_(text) text

#endif
