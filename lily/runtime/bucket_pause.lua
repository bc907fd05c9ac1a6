-- Empty a token bucket, which begins to fill after a while. A pause that ends later stays as it is.
-- KEYS: the bucket. ARGV: seconds, capacity, tokens per second.

local seconds, capacity, per_second = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local ends = tonumber(clock[1]) + tonumber(clock[2]) / 1000000 + seconds

if ends > tonumber(redis.call('HGET', KEYS[1], 'at') or 0) then
    redis.call('HSET', KEYS[1], 'tokens', '0', 'at', string.format('%.6f', ends))
    redis.call('PEXPIRE', KEYS[1], math.ceil((seconds + capacity / per_second) * 1000) + 1000)
end
return 0
