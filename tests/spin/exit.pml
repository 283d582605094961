/* An orderly exit and the next start. */
#define FIRST(i) ((i) == 0 -> 0 : ((i) == 1 -> 1 : ANY))
#define INNER(i) ((i) < 2 -> 1 : 0)
#define FAULTS 0
#define FAILURES 0
#define DELETES 0
#define EXITS 1
#include "lease.pml"
