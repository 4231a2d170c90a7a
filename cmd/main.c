/* posthouse: the command line. */
#include "lib/lib.h"

#include <stdio.h>

int main(void)
{
	puts("posthouse");
	return 0;
}
