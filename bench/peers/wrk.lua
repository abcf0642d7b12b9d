-- The request, then one line of JSON for the harness: wrk's own report is for eyes.
wrk.method = "@METHOD@"
wrk.path = "@PATH@"
@HEADERS@
if @BODY@ > 0 then wrk.body = string.rep("x", @BODY@) end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"bytes":%.0f,"duration_us":%d,"p50_us":%d,"p99_us":%d,"errors":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
