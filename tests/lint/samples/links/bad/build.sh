mkdir -p build/bin
gcc -o build/bin/custody-planner planner.c -lbpf
