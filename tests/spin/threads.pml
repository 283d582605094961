/* Clients 0 and 1 are threads of one computation; 0 may need what 1 waits for. */
#define CLIENTS 4
#define HOLDER(i) ((i) < 2 -> 1 : (i))
#define FIRST(i) ((i) == 0 || (i) == 3 -> 0 : 1)
#define INNER(i) ((i) == 2 -> 1 : 0)
#define INSIDE(i) 0
#define JOINS(i) ((i) == 0 -> 1 : CLIENTS)
#define FAULTS 1
#define FAILURES 0
#define DELETES 0
#include "lease.pml"
