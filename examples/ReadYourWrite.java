// Writes a review into a topic of Kafka, and reads it from Vantage: ReadYourWrite.java BROKERS URL

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class ReadYourWrite {
    /** Publishes a review; returns its place. */
    static String writeReview(String brokers, String id, long product, int stars) throws Exception {
        var settings = Map.<String, Object>of("bootstrap.servers", brokers, "acks", "all");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var review = "{\"id\": \"%s\", \"product_id\": %d, \"stars\": %d}".formatted(id, product, stars);
            var place = producer.send(new ProducerRecord<>("reviews", id, review)).get();
            return "reviews@%d:%d".formatted(place.partition(), place.offset());
        }
    }

    /** Reads the product's card as of that place or a later one; 503 when that takes longer than five seconds. */
    static String readCard(String url, long product, String after) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url + "/v1/views/card/" + product))
            .header("Vantage-After", after)
            .header("Vantage-Timeout-Ms", "5000")
            .build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(answer.statusCode() + ": " + answer.body());
        }
        return answer.body();
    }

    public static void main(String[] arguments) throws Exception {
        var stars = 1 + (int) (Math.random() * 1000);
        // A product of its own has one review: this one, whose id is always the same.
        var product = 2;
        var after = writeReview(arguments[0], "from Java", product, stars);
        var card = readCard(arguments[1], product, after);
        System.out.println("wrote " + stars + " stars at " + after + ", read " + card);
        if (!card.contains("\"stars\":" + stars)) {
            throw new IllegalStateException("the card does not have the review that was written");
        }
    }
}
