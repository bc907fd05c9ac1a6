-- A token bucket, full at first. It lives as long as it needs to be full again, for then it says nothing.
-- KEYS: the bucket. ARGV: tokens wanted, capacity, tokens per second, tokens that have to stay.
-- Returns "0" if they were taken, else the seconds until they could be, as a text: Redis cuts numbers to whole ones.

local wanted, capacity, per_second, reserve = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME') -- Redis' own, so that the clocks of many hosts do not matter
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1] or capacity), tonumber(kept[2] or now) -- `at` is still to come while it is paused
tokens = math.min(capacity, tokens + math.max(0, now - at) * per_second)

if tokens < wanted + reserve then
    return string.format('%.6f', math.max(0.001, (wanted + reserve - tokens) / per_second + math.max(0, at - now)))
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens - wanted), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / per_second * 1000) + 1000)
return '0'
