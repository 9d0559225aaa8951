"""Weights on their way to this machine; nothing of it runs in serving.

source     what a place to fetch from can do, and its errors
hub        ... a model hub that speaks Hugging Face's interface
store      ... whatever fsspec opens: buckets, web servers, folders
checksum   the two kinds that sources give
transfer   one file: gone on with where it stopped, checked, renamed when whole
model      one model: what of it is missing, and the manifest
progress   what whoever waits is shown
"""
