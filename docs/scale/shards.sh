#!/bin/sh
# Scores a folder in N shards, as many at a time as there are processors, and joins them: on one machine, or over ssh with
# `xargs` replaced by GNU parallel.
#
#   docs/scale/shards.sh detector.aberra images/ results/ 7
set -eu
detector=$1 images=$2 results=$3 of=$4
mkdir -p "$results"
seq "$of" | xargs -P "$(nproc)" -I @ sh -c '
    rows=$3/rows-@.csv
    [ -e "$rows.shard.json" ] && exit 0
    aberra score "$1" "$2" --shard "@/$4" --out "$rows" --resume --threads 1 || [ $? = 2 ]
' sh "$detector" "$images" "$results" "$of"
aberra merge "$results"/rows-*.csv --out "$results/rows.csv"
