#!/bin/sh
# standin
