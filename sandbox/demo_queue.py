"""A queue that receives every event Lily publishes, so that one can look at them: rule and SQS queue, made if missing."""

import argparse
import json

import botocore.session

RETENTION_S = 900
SOURCE = "lily"


def main() -> None:
    """Make rule and queue, and print the queue's URL. Safe to repeat."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo_queue", description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--bus", required=True)
    parser.add_argument("--name", required=True, help="of the rule and of the queue")
    arguments = parser.parse_args()
    session = botocore.session.get_session()
    queues = session.create_client("sqs", endpoint_url=arguments.endpoint)
    rules = session.create_client("events", endpoint_url=arguments.endpoint)

    retention = {"MessageRetentionPeriod": str(RETENTION_S)}
    url = queues.create_queue(QueueName=arguments.name, Attributes=retention)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = rules.put_rule(
        Name=arguments.name, EventBusName=arguments.bus, EventPattern=json.dumps({"source": [SOURCE]}), State="ENABLED"
    )
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy(arn, rule["RuleArn"])})
    rules.put_targets(Rule=arguments.name, EventBusName=arguments.bus, Targets=[{"Id": arguments.name, "Arn": arn}])
    print(url)


def _policy(queue: str, rule: str) -> str:
    """What EventBridge needs to deliver to a queue on AWS; the stand-in does not ask."""
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


if __name__ == "__main__":
    main()
