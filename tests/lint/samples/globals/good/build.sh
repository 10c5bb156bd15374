mkdir -p build/obj/daemon/sample
gcc -fPIE -O1 -fdata-sections -c sample.c -o build/obj/daemon/sample/sample.o
