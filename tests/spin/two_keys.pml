/* Computations ask for other keys, and for their own: circles. */
#define FIRST(i) ((i) == 0 -> 0 : ((i) == 1 -> 1 : ANY))
#define FAULTS 1
#define FAILURES 0
#define DELETES 0
#include "lease.pml"
