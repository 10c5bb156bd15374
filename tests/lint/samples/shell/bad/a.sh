#!/bin/sh
cd $1
if [ $x == 1 ]; then echo; fi
